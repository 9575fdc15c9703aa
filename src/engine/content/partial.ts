import { createReadStream, mkdirSync, readdirSync, statSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { createDigester, type Digest, hexOf } from '../../base/digest.ts'
import { TcomposeError } from '../../base/errors.ts'
import type { EnginePaths } from '../state/paths.ts'

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

/**
 * The bytes of a blob while they are downloaded. They are kept in a file too, so that a process that is killed leaves
 * what it had to the next one; the file goes when the download has ended and its digest is right, or wrong. One process
 * at a time may do this for one digest. The stream fails with CORRUPT at its end unless the digest matches.
 */
export function downloadResumably(paths: EnginePaths, download: PartialDownload): Readable {
  return Readable.from(chunks(paths, download), { objectMode: false, highWaterMark: 1 << 18 })
}

async function* chunks(paths: EnginePaths, download: PartialDownload): AsyncGenerator<Buffer> {
  const digester = createDigester()
  const path = `${paths.blobs}/${hexOf(download.digest)}.part`
  let at = 0
  const account = (chunk: Buffer) => {
    digester.update(chunk)
    at += chunk.length
    download.onProgress(at)
  }
  if (download.size < KEPT_FROM_BYTES) {
    for await (const chunk of download.fetch(0)) {
      account(chunk as Buffer)
      yield chunk as Buffer
    }
    return check(download, digester.digest())
  }
  mkdirSync(paths.blobs, { recursive: true, mode: 0o700 })
  const file = await open(path, 'a', 0o600)
  try {
    if ((await file.stat()).size > download.size) await file.truncate(0)
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
      account(chunk as Buffer)
      yield chunk as Buffer
    }
    if (at < download.size) {
      for await (const chunk of download.fetch(at)) {
        const bytes = chunk as Buffer
        account(bytes)
        for (let done = 0; done < bytes.length; ) done += (await file.write(bytes, done)).bytesWritten
        yield bytes
      }
    }
  } finally {
    await file.close()
  }
  await rm(path, { force: true })
  check(download, digester.digest())
}

function check(download: PartialDownload, digest: Digest): void {
  if (digest === download.digest) return
  throw new TcomposeError('CORRUPT', `blob ${download.digest} does not match its digest`, {
    hint: 'the registry or something on the way to it damages what it sends; the image was not taken',
  })
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
