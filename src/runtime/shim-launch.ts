import { writeFileSync } from 'node:fs'
import { TcomposeError, throwIfAborted } from '../base/errors.ts'
import { nativePath } from './native.ts'
import { encodeInterfaces, encodeLaunch } from './shim-encode.ts'
import { shimError } from './shim-errors.ts'
import { Frame } from './shim-frames.ts'
import { frameSocket } from './shim-socket.ts'
import { spawnShim } from './shim-spawner.ts'
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
  const shim = await spawnShim(program, request.bundle)
  const ready = Promise.withResolvers<void>()
  const started = Promise.withResolvers<Started>()
  started.promise.catch(() => {})
  const frames = frameSocket(shim.connection)
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
    await shim.gone()
  }
  try {
    frames.send(Frame.launch, payload)
    await unlessAborted(ready.promise, signal)
  } catch (error) {
    await abort()
    throw error
  }
  return {
    shimPid: shim.identity.pid,
    shimStart: shim.identity.start,
    start: async (interfaces: readonly ShimInterface[], startSignal) => {
      throwIfAborted(startSignal)
      frames.send(Frame.start, encodeInterfaces(interfaces))
      // From here on the container runs or fails of itself within moments: there is nothing to interrupt.
      try {
        const result = await started.promise
        frames.close()
        shim.unref()
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
