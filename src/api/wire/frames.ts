import type { ApiVersion } from '../router.ts'

export const STDOUT = 1
export const STDERR = 2

/** A chunk of a multiplexed stream: `[stream, 0, 0, 0, length]` and the bytes. */
export function frame(stream: number, chunk: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(8 + chunk.length)
  framed.writeUInt32BE(stream * 2 ** 24, 0)
  framed.writeUInt32BE(chunk.length, 4)
  framed.set(chunk, 8)
  return framed
}

/** Since 1.42 the content type tells whether there are frames. */
export function streamType(tty: boolean, version: ApiVersion): string {
  return tty || version < 42 ? 'application/vnd.docker.raw-stream' : 'application/vnd.docker.multiplexed-stream'
}
