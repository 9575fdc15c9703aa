import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { TcomposeError, throwIfAborted } from '../base/errors.ts'
import { processStart } from '../platform/process.ts'
import { nativePath } from './native.ts'
import { encodeInterfaces, encodeLaunch } from './shim-encode.ts'
import { shimError } from './shim-errors.ts'
import { Frame } from './shim-frames.ts'
import { frameSocket } from './shim-socket.ts'
import type { LaunchRequest, ShimHandle, ShimInterface } from './shim-types.ts'

interface Started {
  readonly pid: number
  readonly pidStart: string
}

/**
 * Starts a container's shim and waits until it holds mounts, ports and namespaces. If this process dies before
 * `start`, the shim ends by itself.
 * @param program the shim itself, unless it is another build of it
 * @throws TcomposeError CONFLICT for a port that is taken, FAILED for mounts that cannot be made, CANCELED
 */
export async function launchShim(
  request: LaunchRequest,
  signal?: AbortSignal | undefined,
  program: string = nativePath('tcompose-shim'),
): Promise<ShimHandle> {
  throwIfAborted(signal)
  writeFileSync(`${request.bundle}/config.json`, JSON.stringify(request.spec), { mode: 0o600 })
  // For whoever clears up after a shim that was killed.
  writeFileSync(`${request.bundle}/id`, request.id, { mode: 0o600 })
  const payload = encodeLaunch(request, 'runc')
  const child = spawn(program, ['run', request.bundle], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    detached: true,
    env: process.env.PATH === undefined ? {} : { PATH: process.env.PATH },
  })
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()))
  const ready = Promise.withResolvers<void>()
  const started = Promise.withResolvers<Started>()
  started.promise.catch(() => {})
  child.once('error', (error) => ready.reject(error))
  // A `pipe` beyond the standard three is one end of a socket pair: both sides may speak.
  const socket = child.stdio[3] as unknown as Socket
  const frames = frameSocket(socket)
  frames.onFrame = (frame) => {
    switch (frame.type) {
      case Frame.ready:
        ready.resolve()
        break
      case Frame.started:
        started.resolve({
          pid: frame.payload.readUInt32BE(0),
          pidStart: frame.payload.subarray(4, -1).toString(),
        })
        break
      case Frame.failed: {
        const error = shimError(frame.payload)
        ready.reject(error)
        started.reject(error)
        break
      }
    }
  }
  frames.onClose = () => {
    const error = new TcomposeError('UNAVAILABLE', `the shim of container ${request.id} was killed`)
    ready.reject(error)
    started.reject(error)
  }
  const abort = async (): Promise<void> => {
    frames.close()
    await gone
  }
  try {
    frames.send(Frame.launch, payload)
    await unlessAborted(ready.promise, signal)
  } catch (error) {
    await abort()
    throw error
  }
  const shimPid = child.pid ?? 0
  return {
    shimPid,
    shimStart: processStart(shimPid) ?? '',
    start: async (interfaces: readonly ShimInterface[], startSignal) => {
      throwIfAborted(startSignal)
      frames.send(Frame.start, encodeInterfaces(interfaces))
      // From here on the container runs or fails of itself within moments: there is nothing to interrupt.
      try {
        const result = await started.promise
        frames.close()
        child.unref()
        return result
      } catch (error) {
        await abort()
        throw error
      }
    },
    abort,
  }
}

async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return await promise
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(new TcomposeError('CANCELED', 'interrupted', { cause: signal.reason }))
  signal.addEventListener('abort', abort)
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
