import { TcomposeError } from '../base/errors.ts'

/**
 * Clears what a shim that was killed left: its container's processes, cgroups and runc's state. Its mounts and
 * namespaces go with the processes. A shim that is alive is ended with its container. Leaves the bundle's files.
 */
export function destroyLeftover(bundle: string, runcRoot: string): Promise<void> {
  return Promise.reject(new TcomposeError('UNSUPPORTED', `clearing ${bundle} of ${runcRoot}`))
}
