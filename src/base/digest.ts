import { TcomposeError } from './errors.ts'
import { nodeCrypto } from './node-crypto.ts'

/** `sha256:` and 64 lower-case hex digits: the only algorithm that is read or written here. */
export type Digest = `sha256:${string}`

const PATTERN = /^sha256:[0-9a-f]{64}$/

export function isDigest(text: string): text is Digest {
  return PATTERN.test(text)
}

/** @throws TcomposeError INVALID for anything that is not a sha256 digest */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text
  throw new TcomposeError('INVALID', `invalid digest ${JSON.stringify(text)}`, {
    hint: 'sha256:<64 hex digits> is expected',
  })
}

export function digestOf(data: string | Uint8Array): Digest {
  return `sha256:${nodeCrypto().hash('sha256', data, 'hex')}`
}

/** A running digest over a stream of chunks. */
export function createDigester(): { update(chunk: string | Uint8Array): void; digest(): Digest } {
  const state = nodeCrypto().createHash('sha256')
  return {
    update: (chunk) => void state.update(chunk),
    digest: () => `sha256:${state.digest('hex')}`,
  }
}

/** The hex part. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length)
}

/** 12 hex digits, as Docker shows ids. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12)
}
