import { TcomposeError } from '../../base/errors.ts'
import { bundleOf, type ContainerContext, lockContainer } from './deps.ts'
import { removeLocked } from './erase.ts'
import { observe } from './observe.ts'
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
  for (let latest = stored; ; ) {
    const seen = observe(latest.state, bundleOf(context, id), context.boot)
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
    if (current.state.status !== 'running' && current.state.status !== 'paused') {
      return await removeLocked(context, current, options)
    }
    latest = current
  }
}
