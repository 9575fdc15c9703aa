import { createReadStream, mkdirSync, readdirSync, statSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { createDigester, type Digest, hexOf } from '../../base/digest.ts'
import type { EnginePaths } from '../state/paths.ts'
import { detectCompression } from './compression.ts'

/** Smaller ones are quicker fetched again than kept. */
const KEPT_FROM_BYTES = 4 << 20
const STALE_MS = 24 * 3600_000

interface PartialDownload {
  readonly digest: Digest
  readonly size: number
  /** Bytes from an offset on. */
  fetch(offset: number): Readable
  onProgress(bytes: number): void
}

/** A download under way. */
export interface Download {
  readonly stream: Readable
  /** Digest of what was read; undefined for gzip, which whoever unpacks it has to hash. */
  digest(): Digest | undefined
  /** Forgets the bytes that were kept, because they are wrong. */
  discard(): Promise<void>
}

/**
 * The bytes of a blob while they are downloaded. Large ones are kept in a file too, so that a process that is killed
 * leaves what it had to the next one; the file goes at the end of the download. One process at a time may do this for
 * one digest. The caller compares the digest.
 */
export function downloadResumably(paths: EnginePaths, wanted: PartialDownload): Download {
  const digester = createDigester()
  const path = `${paths.blobs}/${hexOf(wanted.digest)}.part`
  let at = 0
  let hashed: boolean | undefined
  const account = (chunk: Buffer) => {
    hashed ??= detectCompression(chunk) !== 'gzip'
    if (hashed) digester.update(chunk)
    at += chunk.length
    wanted.onProgress(at)
  }
  async function* fetched(): AsyncGenerator<Buffer> {
    for await (const chunk of wanted.fetch(at)) {
      account(chunk as Buffer)
      yield chunk as Buffer
    }
  }
  async function* kept(): AsyncGenerator<Buffer> {
    mkdirSync(paths.blobs, { recursive: true, mode: 0o700 })
    const file = await open(path, 'a', 0o600)
    try {
      if ((await file.stat()).size > wanted.size) await file.truncate(0)
      for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
        account(chunk as Buffer)
        yield chunk as Buffer
      }
      if (at < wanted.size) {
        for await (const bytes of fetched()) {
          for (let done = 0; done < bytes.length; ) done += (await file.write(bytes, done)).bytesWritten
          yield bytes
        }
      }
    } finally {
      await file.close()
    }
    await rm(path, { force: true })
  }
  const chunks = wanted.size < KEPT_FROM_BYTES ? fetched() : kept()
  return {
    stream: Readable.from(chunks, { objectMode: false, highWaterMark: 1 << 18 }),
    digest: () => (hashed === false ? undefined : digester.digest()),
    discard: () => rm(path, { force: true }),
  }
}

/** Removes the files of downloads that nobody continued for a day; with `all` of those that nobody works on now. */
export async function removePartials(paths: EnginePaths, all = false): Promise<number> {
  let names: string[]
  try {
    names = readdirSync(paths.blobs)
  } catch {
    return 0
  }
  let bytes = 0
  for (const name of names) {
    if (!name.endsWith('.part')) continue
    const path = `${paths.blobs}/${name}`
    const info = statSync(path, { throwIfNoEntry: false })
    if (!info || Date.now() - info.mtimeMs < (all ? 60_000 : STALE_MS)) continue
    bytes += info.size
    await rm(path, { force: true })
  }
  return bytes
}
