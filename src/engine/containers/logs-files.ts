import { type FileHandle, open, readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { createGunzip } from 'node:zlib'
import { errnoOf } from '../../base/errors.ts'

/** One open file of a container's log. Held open, it stays readable when rotation renames or removes it. */
export interface LogFile {
  readonly handle: FileHandle
  readonly inode: number
  readonly compressed: boolean
}

const ATTEMPTS = 20
const FINGERPRINT_BYTES = 512

/**
 * Opens a log with what rotation left of it: `path.2` (or `.2.gz`), `path.1`, `path`, oldest first. Rotation may happen
 * at any moment; the result is a state that was there at one instant, nothing missing and nothing twice.
 */
export async function openLogFiles(path: string): Promise<LogFile[]> {
  for (let attempt = 1; ; attempt++) {
    const names = await logNames(path)
    const files = await openAll(names)
    if (files && (await unchanged(path, names, files, attempt === ATTEMPTS))) return files
    await closeAll(files ?? [])
    // A rotation is a few renames: it is over in a moment.
    await pause(attempt)
  }
}

/** Opens the files that are newer than `last`, oldest first; none when `last` is still the one written to. */
export async function openNewerLogFiles(path: string, last: LogFile | undefined): Promise<LogFile[]> {
  const current = await stat(path).catch(() => undefined)
  if (last && current?.ino === last.inode) return []
  const files = await openLogFiles(path)
  const known = last ? await indexOf(files, last) : -1
  await closeAll(files.slice(0, known + 1))
  return files.slice(known + 1)
}

/** The file as it was written, decompressed where it must be. Reads plain files from `offset`. */
export async function* readLogFile(file: LogFile, offset: number): AsyncGenerator<Uint8Array> {
  if (!file.compressed) {
    yield* readPlain(file.handle, offset)
    return
  }
  const source = Readable.from(copies(readPlain(file.handle, 0)))
  const gunzip = createGunzip()
  source.on('error', (error) => gunzip.destroy(error))
  try {
    yield* source.pipe(gunzip) as AsyncIterable<Uint8Array>
  } catch (error) {
    // Cut short while it was being compressed: what came before stands.
    if (!(errnoOf(error) ?? '').startsWith('Z_')) throw error
  } finally {
    source.destroy()
  }
}

async function* copies(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) yield Buffer.from(chunk)
}

const CHUNK_BYTES = 128 * 1024

/** Chunks are views of one buffer: they are void when the next one is asked for. */
async function* readPlain(handle: FileHandle, offset: number): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  for (let at = offset; ; ) {
    const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES, at)
    if (bytesRead === 0) return
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

export async function closeAll(files: readonly LogFile[]): Promise<void> {
  await Promise.all(files.map(({ handle }) => handle.close().catch(() => {})))
}

/** Names oldest first, the current one last; a plain file is preferred to the one it is just being compressed to. */
async function logNames(path: string): Promise<string[]> {
  const base = basename(path)
  const directory = dirname(path)
  const rotated = new Map<number, string>()
  let current = false
  for (const name of await readdir(directory).catch(() => [] as string[])) {
    if (name === base) current = true
    if (!name.startsWith(`${base}.`)) continue
    const match = /^([1-9]\d{0,3})(\.gz)?$/.exec(name.slice(base.length + 1))
    if (!match) continue
    const number = Number(match[1])
    if (match[2] === undefined || !rotated.has(number)) rotated.set(number, name)
  }
  const names = [...rotated].sort(([a], [b]) => b - a).map(([, name]) => name)
  return [...names, ...(current ? [base] : [])].map((name) => join(directory, name))
}

async function openAll(names: readonly string[]): Promise<LogFile[] | undefined> {
  const files: LogFile[] = []
  for (const name of names) {
    try {
      const handle = await open(name, 'r')
      files.push({ handle, inode: (await handle.stat()).ino, compressed: name.endsWith('.gz') })
    } catch (error) {
      await closeAll(files)
      if (errnoOf(error) === 'ENOENT') return undefined
      throw error
    }
  }
  return files
}

async function unchanged(
  path: string,
  names: readonly string[],
  files: readonly LogFile[],
  lastAttempt: boolean,
): Promise<boolean> {
  const now = await logNames(path)
  if (now.length !== names.length || now.some((name, index) => name !== names[index])) return false
  // Between two renames the current one is missing; it also is after a crash just there.
  if (names.length > 0 && names.at(-1) !== path && !lastAttempt) return false
  for (const [index, name] of names.entries()) {
    if ((await stat(name).catch(() => undefined))?.ino !== files[index]?.inode) return false
  }
  return true
}

/** Where `wanted` stands among `files`: by inode, or, if it has been compressed since, by how it begins. */
async function indexOf(files: readonly LogFile[], wanted: LogFile): Promise<number> {
  const index = files.findIndex((file) => file.inode === wanted.inode)
  if (index !== -1 || !files.some((file) => file.compressed)) return index
  const beginning = await firstBytes(wanted)
  for (const [place, file] of files.entries()) {
    if (file.compressed && beginning.length > 0 && (await firstBytes(file)).equals(beginning)) return place
  }
  return -1
}

async function firstBytes(file: LogFile): Promise<Buffer> {
  const parts: Buffer[] = []
  let size = 0
  for await (const chunk of readLogFile(file, 0)) {
    parts.push(Buffer.from(chunk))
    size += chunk.length
    if (size >= FINGERPRINT_BYTES) break
  }
  return Buffer.concat(parts).subarray(0, FINGERPRINT_BYTES)
}
