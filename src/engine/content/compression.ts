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
  const head = await peek(source, 6)
  const compression = detectCompression(head)
  const filter = createDecompressor(compression)
  if (!filter) return { stream: source, compression }
  // What went wrong reaches the reader of the filter.
  pipeline(source, filter).catch(() => {})
  return {
    stream: Readable.from(explained(filter, compression), { objectMode: false, highWaterMark: CHUNK }),
    compression,
  }
}

/** What the file worker reads by itself: plain and gzip streams as they are, others decompressed. */
export async function forUnpacking(source: Readable): Promise<Readable> {
  const compression = detectCompression(await peek(source, 6))
  return compression === 'none' || compression === 'gzip' ? source : (await decompressed(source)).stream
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

/** The first bytes of a stream, put back. Fewer at its end. */
export async function peek(source: Readable, size: number): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  let length = 0
  while (length < size) {
    const chunk = source.read() as Buffer | null
    if (chunk !== null) {
      chunks.push(chunk)
      length += chunk.length
      continue
    }
    if (source.readableEnded || source.destroyed) break
    if (!(await readableOrEnd(source))) break
  }
  const head = Buffer.concat(chunks)
  if (head.length > 0) source.unshift(head)
  return head.subarray(0, size)
}

function readableOrEnd(source: Readable): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const done = () => {
      source.off('readable', onReadable)
      source.off('end', onEnd)
      source.off('error', onError)
      source.off('close', onEnd)
    }
    const onReadable = () => {
      done()
      resolve(source.readableLength > 0)
    }
    const onEnd = () => {
      done()
      resolve(false)
    }
    const onError = (error: Error) => {
      done()
      reject(error)
    }
    source.on('readable', onReadable)
    source.on('end', onEnd)
    source.on('close', onEnd)
    source.on('error', onError)
  })
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
