import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { nodeCrypto } from '../base/node-crypto.ts'

export interface WriteOptions {
  /** Permission bits; default 0o600. */
  readonly mode?: number
  /** Survive a loss of power: fsync the file and its directory. Default true. */
  readonly durable?: boolean
}

/** Writes a whole file: readers see the old content or the new, never a part. */
export function writeFileAtomic(path: string, data: string | Uint8Array, options: WriteOptions = {}): void {
  const temporary = `${path}.${nodeCrypto().randomBytes(6).toString('hex')}.tmp`
  const bytes = typeof data === 'string' ? Buffer.from(data) : data
  const fd = openSync(temporary, 'wx', options.mode ?? 0o600)
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done)
    if (options.durable !== false) fsyncSync(fd)
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  } finally {
    closeSync(fd)
  }
  if (options.durable !== false) syncDirectory(dirname(path))
}

/** Makes names created, renamed or removed in `path` survive a loss of power. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
