import { createReadStream } from 'node:fs'
import { lstat, readlink } from 'node:fs/promises'
import { errnoOf } from '../base/errors.ts'

/** A host path and the name it gets in the archive (no leading `/`). */
export interface TarEntry {
  readonly source: string
  readonly name: string
}

const BLOCK = 512

/**
 * Writes files, folders and symbolic links of the host as a tar (ustar with PAX headers where that is too small).
 * What has gone by the time its turn comes is left out and told to `onMissing`. Folders come without their content.
 */
export async function* writeTar(
  entries: Iterable<TarEntry>,
  onMissing: (entry: TarEntry) => void,
): AsyncGenerator<Uint8Array> {
  for (const entry of entries) {
    try {
      yield* writeEntry(entry)
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) throw error
      onMissing(entry)
    }
  }
  yield new Uint8Array(2 * BLOCK)
}

async function* writeEntry({ source, name }: TarEntry): AsyncGenerator<Uint8Array> {
  const stat = await lstat(source, { bigint: true })
  const mtime = Number(stat.mtimeNs / 1_000_000_000n)
  const common = { name, mode: Number(stat.mode & 0o7777n), mtime, uid: 0, gid: 0 }
  if (stat.isSymbolicLink()) {
    yield header({ ...common, type: '2', size: 0, link: await readlink(source) })
  } else if (stat.isDirectory()) {
    yield header({ ...common, name: `${name}/`, type: '5', size: 0, link: '' })
  } else if (stat.isFile()) {
    const size = Number(stat.size)
    const stream = createReadStream(source, size > 0 ? { end: size - 1 } : {})
    // The header promises a size; a file that shrinks meanwhile is filled up, and its next event brings the truth.
    let written = 0
    let started = false
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      if (!started) {
        yield header({ ...common, type: '0', size, link: '' })
        started = true
      }
      const part = chunk.subarray(0, size - written)
      written += part.length
      yield part
    }
    if (!started) yield header({ ...common, type: '0', size, link: '' })
    const fill = size - written + ((BLOCK - (size % BLOCK)) % BLOCK)
    if (fill > 0) yield new Uint8Array(fill)
  }
  // Sockets, pipes and devices have no content to bring over.
}

interface Header {
  readonly name: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly mtime: number
  readonly type: string
  readonly link: string
}

function header(fields: Header): Uint8Array {
  const records: string[] = []
  const name = Buffer.from(fields.name)
  const link = Buffer.from(fields.link)
  if (name.length > 100) records.push(paxRecord('path', fields.name))
  if (link.length > 100) records.push(paxRecord('linkpath', fields.link))
  if (fields.size >= 8 ** 11) records.push(paxRecord('size', String(fields.size)))
  const plain = block(fields, name, link)
  if (records.length === 0) return plain
  const pax = Buffer.from(records.join(''))
  const padded = Buffer.alloc(Math.ceil(pax.length / BLOCK) * BLOCK)
  pax.copy(padded)
  const first = block({ ...fields, size: pax.length, type: 'x' }, Buffer.from('pax'), Buffer.alloc(0))
  return Buffer.concat([first, padded, plain])
}

function block(fields: Header, name: Uint8Array, link: Uint8Array): Buffer {
  const out = Buffer.alloc(BLOCK)
  const octal = (value: number, offset: number, length: number): void => {
    out.write(
      `${value
        .toString(8)
        .padStart(length - 1, '0')
        .slice(-(length - 1))}\0`,
      offset,
      'latin1',
    )
  }
  out.set(name.subarray(0, 100), 0)
  octal(fields.mode, 100, 8)
  octal(fields.uid, 108, 8)
  octal(fields.gid, 116, 8)
  octal(fields.size < 8 ** 11 ? fields.size : 0, 124, 12)
  octal(Math.max(0, fields.mtime), 136, 12)
  out.write('        ', 148, 'latin1')
  out.write(fields.type, 156, 'latin1')
  out.set(link.subarray(0, 100), 157)
  out.write('ustar\x0000', 257, 'latin1')
  octal(
    out.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  )
  out[155] = 0x20
  return out
}

/** `LENGTH key=value\n`, where LENGTH counts itself too. */
function paxRecord(key: string, value: string): string {
  const body = Buffer.byteLength(` ${key}=${value}\n`)
  let length = body + String(body).length
  if (String(length).length !== String(body).length) length = body + String(length).length
  return `${length} ${key}=${value}\n`
}
