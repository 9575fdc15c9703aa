import type { ReadStream } from 'node:fs'
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { TcomposeError } from '../../base/errors.ts'
import type { FileSlice } from '../../runtime/fs-worker.ts'

/*
 * The outer tar of an image archive. It holds plain files (and links between them) with short ASCII names, made by image
 * tools; layers inside it are left to the confined file worker.
 */

const BLOCK = 512
const MAX_ENTRIES = 100_000

export interface ArchiveEntry {
  /** Without leading `./`. */
  readonly name: string
  readonly kind: 'file' | 'link' | 'other'
  readonly size: number
  /** For links: the name they mean, relative to the archive. */
  readonly target: string
}

/** A file that can be read at any place: entries are found without reading what is in them. */
export interface IndexedArchive extends Disposable {
  readonly entries: ReadonlyMap<string, ArchiveEntry & { readonly offset: number }>
  read(entry: ArchiveEntry & { readonly offset: number }, maxBytes: number): Buffer
  slice(entry: ArchiveEntry & { readonly offset: number }): FileSlice
}

/** The index of a plain tar file behind `stream`, or undefined when it is a pipe, compressed, or was begun already. */
export function indexArchive(stream: Readable): IndexedArchive | undefined {
  const fd = ownDescriptor(stream)
  if (fd === undefined) return undefined
  try {
    const { size } = fstatSync(fd)
    const head = Buffer.alloc(BLOCK)
    if (size < BLOCK || readSync(fd, head, 0, BLOCK, 0) < BLOCK || !looksLikeTar(head)) {
      closeSync(fd)
      return undefined
    }
    const entries = new Map<string, ArchiveEntry & { readonly offset: number }>()
    const headers = createHeaderReader()
    const large = Buffer.alloc(1 << 20)
    for (let at = 0; at + BLOCK <= size; ) {
      readSync(fd, head, 0, BLOCK, at)
      at += BLOCK
      const header = headers.push(head)
      if (header === 'end') break
      if (header.kind === 'extension') {
        if (header.size > large.length) throw broken('an extended header is too long')
        readSync(fd, large, 0, header.size, at)
        headers.extend(header.type, large.subarray(0, header.size))
      } else {
        if (header.size > size - at) throw broken(`entry ${header.entry.name} is cut off`)
        entries.set(header.entry.name, { ...header.entry, offset: at })
        if (entries.size > MAX_ENTRIES) throw broken('too many entries')
      }
      at += Math.ceil(header.size / BLOCK) * BLOCK
    }
    // It may still be opening a file that is gone by then.
    stream.once('error', () => {})
    stream.destroy()
    return {
      entries,
      read(entry, maxBytes) {
        if (entry.size > maxBytes) throw broken(`entry ${entry.name} is larger than ${maxBytes} bytes`)
        const data = Buffer.alloc(entry.size)
        for (let done = 0; done < entry.size; ) {
          const got = readSync(fd, data, done, entry.size - done, entry.offset + done)
          if (got === 0) throw broken(`entry ${entry.name} is cut off`)
          done += got
        }
        return data
      },
      slice: (entry) => ({ fd, offset: entry.offset, length: entry.size }),
      [Symbol.dispose]: () => closeSync(fd),
    }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** A descriptor of our own for the regular file that a stream is at the beginning of. */
function ownDescriptor(stream: Readable): number | undefined {
  const file = stream as Partial<ReadStream> & { fd?: number | null }
  if (stream.readableDidRead || stream.destroyed) return undefined
  const fd = typeof file.fd === 'number' ? file.fd : undefined
  const path = fd === undefined ? file.path : `/proc/self/fd/${fd}`
  if (typeof path !== 'string' || (fd === undefined && !('bytesRead' in stream))) return undefined
  try {
    const own = openSync(path, 'r')
    if (fstatSync(own).isFile()) return own
    closeSync(own)
  } catch {
    // A pipe, a socket, or a path that is gone: the stream itself will tell.
  }
  return undefined
}

/** An entry of a streamed archive with its content, which must be read before the next entry is asked for. */
export interface StreamedEntry extends ArchiveEntry {
  readonly content: AsyncIterable<Buffer>
}

/** Reads a tar stream entry by entry. What is not read of an entry is passed over. */
export async function* streamArchive(source: Readable): AsyncGenerator<StreamedEntry> {
  const chunks = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let rest: Buffer = Buffer.alloc(0)
  const more = async (): Promise<boolean> => {
    const next = await chunks.next()
    if (next.done) return false
    rest = next.value
    return true
  }
  const exactly = async (size: number): Promise<Buffer | undefined> => {
    const parts: Buffer[] = []
    let missing = size
    while (missing > 0) {
      if (rest.length === 0 && !(await more())) return undefined
      const part = rest.subarray(0, missing)
      parts.push(part)
      missing -= part.length
      rest = rest.subarray(part.length)
    }
    return parts.length === 1 ? parts[0] : Buffer.concat(parts)
  }
  const headers = createHeaderReader()
  await using _reading = { [Symbol.asyncDispose]: async () => void (await chunks.return?.()) }
  for (let count = 0; ; ) {
    const block = await exactly(BLOCK)
    if (!block) {
      if (count === 0) throw broken('it is empty')
      break
    }
    if (count === 0 && !looksLikeTar(block)) throw broken('it is no tar archive')
    const header = headers.push(block)
    if (header === 'end') break
    if (++count > MAX_ENTRIES) throw broken('too many entries')
    const padding = (BLOCK - (header.size % BLOCK)) % BLOCK
    if (header.kind === 'extension') {
      if (header.size > 1 << 20) throw broken('an extended header is too long')
      const data = await exactly(header.size + padding)
      if (!data) throw broken('it is cut off')
      headers.extend(header.type, data.subarray(0, header.size))
      continue
    }
    let left = header.size
    const { name } = header.entry
    async function* content(): AsyncGenerator<Buffer> {
      while (left > 0) {
        if (rest.length === 0 && !(await more())) throw broken(`entry ${name} is cut off`)
        const part = rest.subarray(0, left)
        left -= part.length
        rest = rest.subarray(part.length)
        yield part
      }
    }
    yield { ...header.entry, content: content() }
    for await (const _ of content());
    if (padding > 0 && !(await exactly(padding))) throw broken(`entry ${name} is cut off`)
  }
  // A pipe's writer must not be told that nobody reads while it writes the last zeros.
  while (await more());
}

type Header =
  | { readonly kind: 'extension'; readonly type: string; readonly size: number }
  | { readonly kind: 'entry'; readonly entry: ArchiveEntry; readonly size: number }

function createHeaderReader() {
  let name: string | undefined
  let target: string | undefined
  let size: number | undefined
  return {
    push(block: Buffer): Header | 'end' {
      if (block.every((byte) => byte === 0)) return 'end'
      if (!checksumMatches(block)) throw broken('bad header checksum')
      const type = String.fromCharCode(block[156] as number)
      const length = numberAt(block, 124, 12)
      if ('xgLK'.includes(type)) return { kind: 'extension', type, size: length }
      const prefix = block.toString('latin1', 257, 263) === 'ustar\0' ? textAt(block, 345, 155) : ''
      const plain = textAt(block, 0, 100)
      const full = cleanName(name ?? (prefix ? `${prefix}/${plain}` : plain))
      const link = target ?? textAt(block, 157, 100)
      const kind =
        type === '0' || type === '\0' || type === '7' ? 'file' : type === '1' || type === '2' ? 'link' : 'other'
      const bytes = kind === 'file' ? (size ?? length) : 0
      name = target = size = undefined
      const directory = full.includes('/') ? full.slice(0, full.lastIndexOf('/') + 1) : ''
      return {
        kind: 'entry',
        size: bytes,
        entry: {
          name: full,
          kind,
          size: bytes,
          target: kind === 'link' ? cleanName(type === '2' ? directory + link : link) : '',
        },
      }
    },
    extend(type: string, data: Buffer): void {
      if (type === 'L') name = data.toString().replace(/\0.*$/s, '')
      if (type === 'K') target = data.toString().replace(/\0.*$/s, '')
      if (type !== 'x') return
      for (let at = 0; at < data.length; ) {
        const space = data.indexOf(0x20, at)
        const length = Number(data.toString('latin1', at, space))
        if (space < 0 || !(length > 0) || at + length > data.length) throw broken('a broken extended header')
        const record = data.toString('utf8', space + 1, at + length - 1)
        const equals = record.indexOf('=')
        const value = record.slice(equals + 1)
        const key = record.slice(0, equals)
        if (key === 'path') name = value
        else if (key === 'linkpath') target = value
        else if (key === 'size') size = Number(value)
        at += length
      }
      if (size !== undefined && !(Number.isSafeInteger(size) && size >= 0)) throw broken('a broken size')
    },
  }
}

function looksLikeTar(block: Buffer): boolean {
  return checksumMatches(block) || block.every((byte) => byte === 0)
}

function checksumMatches(block: Buffer): boolean {
  let sum = 0
  for (let index = 0; index < BLOCK; index++) sum += index >= 148 && index < 156 ? 32 : (block[index] as number)
  return Number.parseInt(textAt(block, 148, 8).trim(), 8) === sum
}

function textAt(block: Buffer, offset: number, size: number): string {
  const end = block.indexOf(0, offset)
  return block.toString('utf8', offset, end >= 0 && end < offset + size ? end : offset + size)
}

function numberAt(block: Buffer, offset: number, size: number): number {
  if ((block[offset] as number) & 0x80) {
    const value = block.readUIntBE(offset + size - 6, 6)
    for (let index = offset + 1; index < offset + size - 6; index++)
      if (block[index] !== 0) throw broken('a broken size')
    return value
  }
  const value = Number.parseInt(textAt(block, offset, size).trim() || '0', 8)
  if (!(value >= 0)) throw broken('a broken size')
  return value
}

/** Names are only compared here, never opened; `..` is resolved so that links between entries are understood. */
function cleanName(name: string): string {
  const parts: string[] = []
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue
    if (part === '..') parts.pop()
    else parts.push(part)
  }
  return parts.join('/')
}

function broken(why: string): TcomposeError {
  return new TcomposeError('INVALID', `broken image archive: ${why}`)
}
