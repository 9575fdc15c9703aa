import { rm } from 'node:fs/promises'
import { TcomposeError } from '../../base/errors.ts'
import { discardContainer } from './create.ts'
import { bundleOf, type ContainerContext, directoryOf, emitContainer, lockContainer } from './deps.ts'
import { releaseEndpoints } from './endpoints.ts'
import { releaseMounts } from './mounts.ts'
import { observe, selfIdentity } from './observe.ts'
import { settleLocked } from './settle.ts'
import { killAndWait } from './stop.ts'
import type { StoredContainer } from './store.ts'

/**
 * Removes a container; with `force` a running one is killed first, with `volumes` its anonymous volumes go too.
 * @throws TcomposeError CONFLICT when it runs and not `force`
 */
export async function removeContainer(
  context: ContainerContext,
  stored: StoredContainer,
  options: { readonly force?: boolean; readonly volumes?: boolean },
): Promise<void> {
  const { id } = stored
  for (;;) {
    const seen = observe(stored.state, bundleOf(context, id), context.boot)
    const live = seen.state.status === 'running' || seen.state.status === 'paused'
    if ((live || seen.state.status === 'restarting') && !options.force) {
      throw new TcomposeError(
        'CONFLICT',
        `cannot remove container "/${stored.name}": container is ${seen.state.status}: ` +
          'stop the container before removing or force remove',
      )
    }
    if (live) await killAndWait(context, id)
    await using _lock = await lockContainer(context, id)
    const current = await settleLocked(context, id)
    if (!current) return
    // Somebody started it between the kill and the lock.
    if (current.state.status === 'running' || current.state.status === 'paused') continue
    await removeLocked(context, current, options)
    return
  }
}

/** Removes a container that does not run; the caller holds its lock. Can be repeated after it was cut short. */
export async function removeLocked(
  context: ContainerContext,
  stored: StoredContainer,
  options: { readonly volumes?: boolean },
): Promise<void> {
  const { id } = stored
  if (stored.state.phase === 'creating') return await discardContainer(context, id)
  context.store.setState(id, { ...stored.state, status: 'removing', phase: 'removing', holder: selfIdentity() })
  await releaseEndpoints(context, id)
  await releaseMounts(context, id, stored.record.mounts, { removeAnonymous: options.volumes ?? false })
  for (const path of [directoryOf(context, id), bundleOf(context, id)]) await rm(path, { recursive: true, force: true })
  context.store.delete(id)
  context.db.flush()
  await emitContainer(context, stored, 'destroy')
}
