import { createReadStream, createWriteStream } from 'node:fs'
import { posix } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createDigester, type Digest, isDigest } from '../../base/digest.ts'
import { messageOf, TcomposeError, throwIfAborted } from '../../base/errors.ts'
import { makeTemporary } from '../content/temporary.ts'
import type { BuildRun } from './build-run.ts'

/** A downloaded file; gone when it is disposed. */
export interface Download extends AsyncDisposable {
  readonly name: string
  readonly path: string
  readonly digest: Digest
  readonly sizeBytes: number
  /** Last-Modified in seconds since 1970, else 0. */
  readonly mtime: number
  readonly read: () => Readable
}

export function isHttpUrl(text: string): boolean {
  return /^https?:\/\//i.test(text)
}

/** Fetches a URL. @throws TcomposeError INVALID, UNAVAILABLE, CORRUPT for a wrong checksum */
export async function fetchUrl(
  run: Pick<BuildRun, 'paths' | 'signal' | 'request' | 'env'>,
  url: string,
  options: { readonly checksum: string; readonly named: boolean },
): Promise<Download> {
  const { checksum } = options
  if (checksum !== '') checkChecksum(checksum)
  let target: URL
  try {
    target = new URL(url)
  } catch (cause) {
    throw new TcomposeError('INVALID', `invalid URL ${JSON.stringify(url)}`, { cause })
  }
  const temporary = makeTemporary(run.paths)
  try {
    const response = await request(run, target)
    const path = `${temporary.path}/download`
    const digester = createDigester()
    let sizeBytes = 0
    const body = response.body
      ? Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0])
      : Readable.from([])
    await pipeline(
      body,
      async function* (source: AsyncIterable<Uint8Array>) {
        for await (const chunk of source) {
          digester.update(chunk)
          sizeBytes += chunk.length
          yield chunk
        }
      },
      createWriteStream(path, { mode: 0o600 }),
      { signal: run.signal },
    )
    const digest = digester.digest()
    if (checksum !== '' && digest !== checksum) {
      throw new TcomposeError('CORRUPT', `digest mismatch ${digest}: ${checksum} (${url})`)
    }
    const modified = Date.parse(response.headers.get('last-modified') ?? '')
    const base = posix.basename(decodeURIComponent(target.pathname.replace(/\/+$/, '')))
    return {
      name: fileNameOf(response.headers.get('content-disposition')) ?? (base || '__unnamed__'),
      path,
      digest,
      sizeBytes,
      mtime: Number.isNaN(modified) ? 0 : Math.floor(modified / 1000),
      read: () => createReadStream(path),
      [Symbol.asyncDispose]: () => temporary[Symbol.asyncDispose](),
    }
  } catch (error) {
    await temporary[Symbol.asyncDispose]()
    throwIfAborted(run.signal)
    throw error
  }
}

/** @throws TcomposeError INVALID, UNSUPPORTED for other algorithms than sha256 */
function checkChecksum(text: string): void {
  const [algorithm = '', digits] = text.split(':')
  if (digits === undefined) throw new TcomposeError('INVALID', `invalid checksum digest format: ${text}`)
  if (algorithm !== 'sha256') throw new TcomposeError('UNSUPPORTED', `unsupported digest algorithm: ${text}`)
  if (!isDigest(text)) throw new TcomposeError('INVALID', `invalid checksum digest length: ${text}`)
}

async function request(run: Pick<BuildRun, 'signal' | 'request' | 'env'>, target: URL): Promise<Response> {
  let response: Response
  try {
    response = await fetch(target, { headers: authorization(run, target.host), signal: run.signal })
  } catch (error) {
    throwIfAborted(run.signal)
    const cause = (error as { cause?: unknown }).cause
    throw new TcomposeError('UNAVAILABLE', `failed to fetch ${target.href}: ${messageOf(cause ?? error)}`, {
      cause: error,
    })
  }
  if (response.ok) return response
  await response.body?.cancel()
  throw new TcomposeError('UNAVAILABLE', `invalid response status ${response.status} for ${target.href}`)
}

/** Secrets HTTP_AUTH_HEADER_<host> and HTTP_AUTH_TOKEN_<host>. */
function authorization(run: Pick<BuildRun, 'request' | 'env'>, host: string): Record<string, string> {
  const value = (id: string) => {
    const secret = (run.request.secrets ?? []).find((each) => each.id === id)
    return secret?.data ?? (secret?.env === undefined ? undefined : run.env[secret.env])
  }
  const header = value(`HTTP_AUTH_HEADER_${host}`)
  if (header !== undefined) return { authorization: header }
  const token = value(`HTTP_AUTH_TOKEN_${host}`)
  return token === undefined ? {} : { authorization: `Bearer ${token}` }
}

function fileNameOf(disposition: string | null): string | undefined {
  const name = /filename="?([^";]+)"?/.exec(disposition ?? '')?.[1]
  const base = name === undefined ? '' : posix.basename(name)
  return base === '' || base === '.' || base === '..' ? undefined : base
}
