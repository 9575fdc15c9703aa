import type { Readable } from 'node:stream'
import { TcomposeError } from '../../base/errors.ts'

export type TarKind = 'file' | 'directory' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo'

/** What a tar says of one path. */
export interface TarHeader {
  /** Without leading and trailing slash. */
  readonly name: string
  readonly kind: TarKind
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Seconds since 1970. */
  readonly mtime: number
  /** Of a regular file. */
  readonly sizeBytes: number
  readonly link: string
  readonly major: number
  readonly minor: number
  /** `SCHILY.xattr.` records, by their full key. */
  readonly xattrs: ReadonlyMap<string, Uint8Array>
}

export interface TarEntry {
  readonly header: TarHeader
  /** Must be taken to its end before the next entry. */
  readonly body: AsyncIterable<Uint8Array>
}

const BLOCK = 512
const KINDS: Readonly<Record<string, TarKind>> = {
  '0': 'file',
  '\0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
}
const LETTERS: Readonly<Record<TarKind, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  char: '3',
  block: '4',
  directory: '5',
  fifo: '6',
}

export const NO_XATTRS: ReadonlyMap<string, Uint8Array> = new Map()

/** Entries of a tar as our file worker writes it (ustar with PAX or GNU long names). @throws TcomposeError CORRUPT */
export async function* readTar(stream: Readable): AsyncGenerator<TarEntry> {
  const source = reader(stream)
  let pax = new Map<string, Uint8Array>()
  let longName: string | undefined
  let longLink: string | undefined
  for (;;) {
    const block = await source.exactly(BLOCK)
    if (!block || block.every((byte) => byte === 0)) break
    const type = String.fromCharCode(block[156] as number)
    const size = numberAt(block, 124, 12)
    if (type === 'x' || type === 'g') {
      pax = paxRecords(await source.padded(size))
      continue
    }
    if (type === 'L' || type === 'K') {
      const text = (await source.padded(size)).toString('utf8').replace(/\0+$/, '')
      if (type === 'L') longName = text
      else longLink = text
      continue
    }
    const kind = KINDS[type]
    if (!kind) throw new TcomposeError('CORRUPT', `tar entry of unknown type ${JSON.stringify(type)}`)
    const prefix = textAt(block, 345, 155)
    const plain = textAt(block, 0, 100)
    const number = (key: string, fallback: number) => (pax.has(key) ? Number(textOf(pax.get(key))) : fallback)
    const sizeBytes = kind === 'file' ? number('size', size) : 0
    const name = pax.has('path') ? textOf(pax.get('path')) : (longName ?? (prefix ? `${prefix}/${plain}` : plain))
    const header: TarHeader = {
      name: name.replace(/^(\.\/)+/, '').replace(/^\/+|\/+$/g, ''),
      kind,
      mode: numberAt(block, 100, 8) & 0o7777,
      uid: number('uid', numberAt(block, 108, 8)),
      gid: number('gid', numberAt(block, 116, 8)),
      mtime: Math.floor(number('mtime', numberAt(block, 136, 12))),
      sizeBytes,
      link: pax.has('linkpath') ? textOf(pax.get('linkpath')) : (longLink ?? textAt(block, 157, 100)),
      major: numberAt(block, 329, 8),
      minor: numberAt(block, 337, 8),
      xattrs: new Map([...pax].filter(([key]) => key.startsWith('SCHILY.xattr.'))),
    }
    pax = new Map()
    longName = undefined
    longLink = undefined
    let left = sizeBytes
    const body = async function* () {
      while (left > 0) {
        const chunk = await source.upTo(left)
        left -= chunk.length
        yield chunk
      }
    }
    yield { header, body: body() }
    while (left > 0) left -= (await source.upTo(left)).length
    const fill = (BLOCK - (sizeBytes % BLOCK)) % BLOCK
    if (fill > 0) await source.exactly(fill)
  }
  // What stands behind the end must be read all the same, or the writer is taken for broken off.
  await source.drain()
}

/** The bytes of entries, with the end of the archive. */
export async function* writeTar(entries: AsyncIterable<TarEntry> | Iterable<TarEntry>): AsyncGenerator<Uint8Array> {
  for await (const { header, body } of entries) {
    yield encodeHeader(header)
    if (header.kind !== 'file') continue
    let written = 0
    for await (const chunk of body) {
      written += chunk.length
      if (written > header.sizeBytes) break
      yield chunk
    }
    if (written !== header.sizeBytes) {
      throw new TcomposeError('CONFLICT', `${header.name} changed while it was copied`)
    }
    const fill = (BLOCK - (written % BLOCK)) % BLOCK
    if (fill > 0) yield new Uint8Array(fill)
  }
  yield new Uint8Array(2 * BLOCK)
}

/** An entry whose content is at hand. */
export function bytesEntry(header: Omit<TarHeader, 'sizeBytes'>, content: Uint8Array = new Uint8Array()): TarEntry {
  const body = async function* () {
    if (content.length > 0) yield content
  }
  return { header: { ...header, sizeBytes: content.length }, body: body() }
}

function encodeHeader(header: TarHeader): Buffer {
  const records: [string, Uint8Array][] = [...header.xattrs]
  const name = Buffer.from(header.kind === 'directory' ? `${header.name}/` : header.name)
  const link = Buffer.from(header.link)
  if (name.length > 100) records.push(['path', name])
  if (link.length > 100) records.push(['linkpath', link])
  const numbers: [string, number, number][] = [
    ['size', header.sizeBytes, 0o77777777777],
    ['uid', header.uid, 0o7777777],
    ['gid', header.gid, 0o7777777],
  ]
  for (const [key, value, max] of numbers) if (value > max) records.push([key, Buffer.from(String(value))])
  if (header.mtime < 0) records.push(['mtime', Buffer.from(String(header.mtime))])
  const block = ustar(header, LETTERS[header.kind], name, link, header.sizeBytes)
  if (records.length === 0) return block
  const body = Buffer.concat(records.map(([key, value]) => paxRecord(key, value)))
  const fill = Buffer.alloc((BLOCK - (body.length % BLOCK)) % BLOCK)
  const extension = ustar(
    { ...header, mode: 0o644, uid: 0, gid: 0 },
    'x',
    Buffer.from('PaxHeader'),
    Buffer.alloc(0),
    body.length,
  )
  return Buffer.concat([extension, body, fill, block])
}

function ustar(header: TarHeader, type: string, name: Buffer, link: Buffer, size: number): Buffer {
  const block = Buffer.alloc(BLOCK)
  const octal = (value: number, at: number, width: number) => {
    const fits = value >= 0 && value < 8 ** (width - 1) ? value : 0
    block.write(fits.toString(8).padStart(width - 1, '0'), at, 'latin1')
  }
  name.copy(block, 0, 0, 100)
  octal(header.mode, 100, 8)
  octal(header.uid, 108, 8)
  octal(header.gid, 116, 8)
  octal(size, 124, 12)
  octal(header.mtime, 136, 12)
  block.write(type, 156, 'latin1')
  link.copy(block, 157, 0, 100)
  block.write('ustar\x0000', 257, 'latin1')
  octal(header.major, 329, 8)
  octal(header.minor, 337, 8)
  block.fill(' ', 148, 156)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

function paxRecord(key: string, value: Uint8Array): Buffer {
  const rest = Buffer.byteLength(key) + value.length + 3
  let length = rest + String(rest).length
  if (rest + String(length).length !== length) length = rest + String(length).length
  return Buffer.concat([Buffer.from(`${length} ${key}=`), value, Buffer.from('\n')])
}

function paxRecords(bytes: Buffer): Map<string, Uint8Array> {
  const records = new Map<string, Uint8Array>()
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(32, at)
    const length = Number(bytes.toString('latin1', at, space))
    if (space < 0 || !(length > 0)) break
    const equals = bytes.indexOf(61, space)
    records.set(bytes.toString('utf8', space + 1, equals), bytes.subarray(equals + 1, at + length - 1))
    at += length
  }
  return records
}

function textOf(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString('utf8')
}

function textAt(block: Buffer, at: number, length: number): string {
  const end = block.indexOf(0, at)
  return block.toString('utf8', at, end < 0 || end > at + length ? at + length : end)
}

function numberAt(block: Buffer, at: number, length: number): number {
  if (((block[at] as number) & 0x80) !== 0) {
    let value = (block[at] as number) & 0x7f
    for (let i = 1; i < length; i++) value = value * 256 + (block[at + i] as number)
    return value
  }
  return Number.parseInt(block.toString('latin1', at, at + length).trim() || '0', 8) || 0
}

function reader(stream: Readable) {
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let rest: Buffer = Buffer.alloc(0)
  const fill = async (): Promise<boolean> => {
    if (rest.length > 0) return true
    const next = await chunks.next()
    if (next.done) return false
    rest = next.value
    return true
  }
  const upTo = async (length: number): Promise<Buffer> => {
    if (!(await fill())) throw new TcomposeError('CORRUPT', 'the tar stream ends early')
    const part = rest.subarray(0, length)
    rest = rest.subarray(part.length)
    return part
  }
  const exactly = async (length: number): Promise<Buffer | undefined> => {
    if (!(await fill())) return undefined
    if (rest.length >= length) return await upTo(length)
    const parts: Buffer[] = []
    for (let left = length; left > 0; ) {
      const part = await upTo(left)
      parts.push(part)
      left -= part.length
    }
    return Buffer.concat(parts)
  }
  return {
    upTo,
    exactly,
    async padded(length: number): Promise<Buffer> {
      const body = length > 0 ? ((await exactly(length)) ?? Buffer.alloc(0)) : Buffer.alloc(0)
      const over = (BLOCK - (length % BLOCK)) % BLOCK
      if (over > 0) await exactly(over)
      return body
    },
    async drain(): Promise<void> {
      for (;;) if ((await chunks.next()).done) return
    },
  }
}
