import { rm } from 'node:fs/promises'
import { destroyLeftover } from '../../runtime/shim-leftover.ts'
import { bundleOf, type ContainerContext, emitContainer, lockContainer } from './deps.ts'
import { detachEndpoints } from './endpoints.ts'
import { removeLocked } from './erase.ts'
import { observe } from './observe.ts'
import type { StoredContainer, StoredState } from './store.ts'

/**
 * Records what became of a container's process if the record does not say so yet: its end with the `die` event, or
 * that a start was cut short. Frees its network and, if it asked for that, removes it.
 * @returns undefined when there is no such container (any more)
 */
export async function settle(
  context: ContainerContext,
  id: string,
  signal?: AbortSignal,
): Promise<StoredContainer | undefined> {
  const before = context.store.byId(id)
  if (!before) return undefined
  if (observe(before.state, bundleOf(context, id), context.boot).news === 'none' && !before.state.phase) return before
  await using _lock = await lockContainer(context, id, signal)
  return await settleLocked(context, id)
}

/** As `settle`, for a caller that holds the container's lock. */
export async function settleLocked(context: ContainerContext, id: string): Promise<StoredContainer | undefined> {
  const stored = context.store.byId(id)
  if (!stored) return undefined
  const bundle = bundleOf(context, id)
  const seen = observe(stored.state, bundle, context.boot, true)
  switch (seen.news) {
    case 'none':
      return stored
    case 'running':
      context.store.setState(id, seen.state)
      return { ...stored, state: seen.state }
    case 'aborted':
      await clearRun(context, id, bundle)
      context.store.setState(id, seen.state)
      return { ...stored, state: seen.state }
    case 'ended': {
      if (seen.shimKilled) await destroyLeftover(bundle, context.paths.runcRoot)
      return await recordEnd(context, stored, seen.state)
    }
  }
}

async function recordEnd(
  context: ContainerContext,
  stored: StoredContainer,
  state: StoredState,
): Promise<StoredContainer | undefined> {
  const { id } = stored
  await detachEndpoints(context, id)
  context.db.transaction(() => {
    context.store.setState(id, state)
    context.db.run('DELETE FROM ports WHERE container_id = ?', id)
  })
  await removeBundle(bundleOf(context, id))
  if (state.oomKilled) await emitContainer(context, stored, 'oom')
  await emitContainer(context, stored, 'die', { exitCode: String(state.exitCode), ...ranFor(state) })
  const ended = { ...stored, state, ports: [] }
  if (!stored.record.spec.autoRemove || state.restartUnderWay) return ended
  await removeLocked(context, ended, { volumes: true })
  return undefined
}

/** Seconds it ran, as Docker's `execDuration` attribute. */
function ranFor(state: StoredState): { execDuration?: string } {
  const ms = Date.parse(state.finishedAt) - Date.parse(state.startedAt)
  return Number.isFinite(ms) ? { execDuration: String(Math.max(0, Math.round(ms / 1000))) } : {}
}

/** Takes away what a run that never came to be, or has gone, left in the kernel and in `run`. */
export async function clearRun(context: ContainerContext, id: string, bundle: string): Promise<void> {
  await destroyLeftover(bundle, context.paths.runcRoot)
  await detachEndpoints(context, id)
  context.db.run('DELETE FROM ports WHERE container_id = ?', id)
  await removeBundle(bundle)
}

/**
 * Off the main thread: the kernel takes its time for a directory that was a mount point in a namespace that has only
 * just gone.
 */
async function removeBundle(bundle: string): Promise<void> {
  await rm(bundle, { recursive: true, force: true })
}
