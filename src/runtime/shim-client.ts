import { TcomposeError } from '../base/errors.ts'
import type { LaunchRequest, ShimConnection, ShimHandle } from './shim-types.ts'

export type * from './shim-types.ts'

/**
 * Starts a container's shim and waits until it holds mounts, ports and namespaces. If this process dies before
 * `start`, the shim ends by itself.
 * @throws TcomposeError CONFLICT for a port that is taken, FAILED for mounts that cannot be made
 */
export function launchShim(request: LaunchRequest, signal?: AbortSignal | undefined): Promise<ShimHandle> {
  return Promise.reject(new TcomposeError('UNSUPPORTED', `launching ${request.id}`, { cause: signal }))
}

/** @throws TcomposeError NOT_FOUND when no shim listens there (any more) */
export function connectShim(bundle: string, signal?: AbortSignal | undefined): Promise<ShimConnection> {
  return Promise.reject(new TcomposeError('UNSUPPORTED', `connecting to ${bundle}`, { cause: signal }))
}
