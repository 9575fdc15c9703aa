import { closeSync, constants, openSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { errnoOf, TcomposeError, throwIfAborted } from '../base/errors.ts'
import { encodeFrame, FrameReader, type ReceivedFrame } from './shim-frames.ts'

/** Longest path of a Unix socket address. */
const PATH_LIMIT = 107

/** Frames over a socket. `onFrame` and `onClose` are set by whoever uses it, in the same turn it gets it. */
export interface FrameSocket {
  send(type: number, payload?: Uint8Array, stream?: number): boolean
  onFrame: (frame: ReceivedFrame) => void
  onClose: () => void
  onDrain: () => void
  /** Stops and goes on reading: for what is read faster than it is taken. */
  pause(): void
  resume(): void
  close(): void
}

export function frameSocket(socket: Socket): FrameSocket {
  const reader = new FrameReader()
  const frames: FrameSocket = {
    send: (type, payload, stream) => !socket.destroyed && socket.write(encodeFrame(type, payload, stream)),
    onFrame: () => {},
    onClose: () => {},
    onDrain: () => {},
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    close: () => socket.destroy(),
  }
  socket.on('data', (chunk: Buffer) => {
    try {
      for (const frame of reader.push(chunk)) frames.onFrame(frame)
    } catch (error) {
      socket.destroy(error instanceof Error ? error : undefined)
    }
  })
  socket.on('drain', () => frames.onDrain())
  // A connection that breaks is the same to us as one that ends.
  socket.on('error', () => {})
  socket.on('close', () => frames.onClose())
  return frames
}

/** @throws TcomposeError NOT_FOUND when no shim listens there */
export async function openShimSocket(bundle: string, signal: AbortSignal | undefined): Promise<FrameSocket> {
  throwIfAborted(signal)
  const path = `${bundle}/sock`
  // A path that is too long is reached by way of its folder.
  const folder = Buffer.byteLength(path) > PATH_LIMIT ? openFolder(bundle) : undefined
  const socket = createConnection(folder === undefined ? path : `/proc/self/fd/${folder}/sock`)
  const abort = (): void => void socket.destroy()
  signal?.addEventListener('abort', abort)
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
      socket.once('close', () => reject(new TcomposeError('CANCELED', 'interrupted')))
    })
  } catch (error) {
    throwIfAborted(signal)
    const code = errnoOf(error)
    if (code !== 'ENOENT' && code !== 'ECONNREFUSED' && code !== 'ECONNRESET') throw error
    throw new TcomposeError('NOT_FOUND', `no shim listens in ${bundle}`, { cause: error })
  } finally {
    signal?.removeEventListener('abort', abort)
    if (folder !== undefined) closeSync(folder)
  }
  return frameSocket(socket)
}

function openFolder(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
  } catch (error) {
    throw new TcomposeError('NOT_FOUND', `no shim listens in ${path}`, { cause: error })
  }
}
