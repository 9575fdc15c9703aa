import { spawn } from 'node:child_process'
import { Duplex, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { errnoOf, TcomposeError } from '../../base/errors.ts'

export type Compression = 'none' | 'gzip' | 'zstd' | 'bzip2' | 'xz'

const CHUNK = 1 << 18

/** What the first bytes of a stream say; six are enough. */
export function detectCompression(head: Uint8Array): Compression {
  const starts = (...bytes: number[]) => bytes.every((byte, index) => head[index] === byte)
  if (starts(0x1f, 0x8b)) return 'gzip'
  // A zstd stream may begin with a skippable frame.
  if (starts(0x28, 0xb5, 0x2f, 0xfd)) return 'zstd'
  if (((head[0] ?? 0) & 0xf0) === 0x50 && head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18) return 'zstd'
  if (starts(0x42, 0x5a, 0x68)) return 'bzip2'
  if (starts(0xfd, 0x37, 0x7a, 0x58, 0x5a)) return 'xz'
  return 'none'
}

/**
 * A transform from compressed to plain bytes; undefined for `none`. bzip2 and xz need the programs of these names.
 */
export function createDecompressor(compression: Compression): Duplex | undefined {
  switch (compression) {
    case 'none':
      return undefined
    case 'gzip':
      return createGunzip({ chunkSize: CHUNK })
    case 'zstd':
      return createZstdDecompress({ chunkSize: CHUNK })
    case 'bzip2':
    case 'xz':
      return programFilter(compression)
  }
}

/**
 * The plain bytes of `source`, whatever it is compressed with.
 * @throws (on the stream) TcomposeError INVALID for damaged data
 */
export async function decompressed(
  source: Readable,
): Promise<{ readonly stream: Readable; readonly compression: Compression }> {
  const { head, stream } = await peek(source, 6)
  const compression = detectCompression(head)
  const filter = createDecompressor(compression)
  if (!filter) return { stream, compression }
  // What went wrong reaches the reader of the filter.
  pipeline(stream, filter).catch(() => {})
  return {
    stream: Readable.from(explained(filter, compression), { objectMode: false, highWaterMark: CHUNK }),
    compression,
  }
}

/** What the file worker reads by itself: plain and gzip streams as they are, others decompressed. */
export async function forUnpacking(source: Readable): Promise<Readable> {
  const { head, stream } = await peek(source, 6)
  const compression = detectCompression(head)
  return compression === 'none' || compression === 'gzip' ? stream : (await decompressed(stream)).stream
}

async function* explained(stream: Readable, compression: Compression): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of stream) yield chunk as Buffer
  } catch (error) {
    // zlib's own texts mean nothing to people.
    const code = errnoOf(error) ?? ''
    if (!/^(Z_|ZSTD_|ERR_TRAILING_JUNK|ERR_ZLIB)/.test(code)) throw error
    throw new TcomposeError('INVALID', `damaged ${compression} data`, { cause: error })
  }
}

/** The first bytes of a stream, fewer where it ends, and a stream that gives all of it. */
export async function peek(
  source: Readable,
  size: number,
): Promise<{ readonly head: Uint8Array; readonly stream: Readable }> {
  const chunks = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let head: Buffer = Buffer.alloc(0)
  let ended = false
  while (head.length < size && !ended) {
    const next = await chunks.next()
    if (next.done) ended = true
    else head = head.length === 0 ? next.value : Buffer.concat([head, next.value])
  }
  async function* whole(): AsyncGenerator<Buffer> {
    try {
      if (head.length > 0) yield head
      for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value
    } finally {
      await chunks.return?.()
    }
  }
  return { head: head.subarray(0, size), stream: Readable.from(whole(), { objectMode: false, highWaterMark: CHUNK }) }
}

function programFilter(program: 'bzip2' | 'xz'): Duplex {
  const child = spawn(program, ['-dc'], { stdio: ['pipe', 'pipe', 'ignore'] })
  const filter = Duplex.from({ writable: child.stdin, readable: child.stdout })
  child.once('error', (error) => {
    filter.destroy(
      errnoOf(error) === 'ENOENT'
        ? new TcomposeError('UNSUPPORTED', `reading ${program} data needs the program ${program}`, {
            hint: `install the package ${program === 'xz' ? 'xz-utils' : 'bzip2'}`,
          })
        : error,
    )
  })
  child.once('close', (code) => {
    if (code !== 0 && code !== null) filter.destroy(new TcomposeError('INVALID', `damaged ${program} data`))
  })
  filter.once('close', () => child.kill())
  return filter
}
