import { readdirSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { mapConcurrent } from '../../base/concurrency.ts'
import { errnoOf } from '../../base/errors.ts'
import { destroyLeftover } from '../../runtime/shim-leftover.ts'
import { discardContainer } from './create.ts'
import { type ContainerContext, directoryOf, tryLockContainer } from './deps.ts'
import { removeLocked } from './erase.ts'
import { isBroken } from './observe.ts'
import { settleLocked } from './settle.ts'
import type { StoredContainer } from './store.ts'

/**
 * Mends what killed processes left: ends nobody recorded, steps cut short, directories and bundles without a record.
 * What another process is at work on (its lock is held) is left to it.
 */
export async function reconcileContainers(context: ContainerContext): Promise<void> {
  await mapConcurrent(context.store.all(), 8, (stored) => mend(context, stored))
  await dropOrphans(context)
}

async function mend(context: ContainerContext, before: StoredContainer): Promise<void> {
  if (!isBroken(before, context.paths, context.boot)) return
  const lock = await tryLockContainer(context, before.id)
  if (!lock) return
  await using _lock = lock
  const { id } = before
  const stored = context.store.byId(id)
  if (!stored) return
  switch (stored.state.phase) {
    case 'creating':
      return await discardContainer(context, id)
    case 'removing':
      return await removeLocked(context, stored, { volumes: stored.record.spec.autoRemove ?? false })
    default:
      await settleLocked(context, id)
  }
}

async function dropOrphans(context: ContainerContext): Promise<void> {
  const { paths } = context
  for (const id of namesIn(paths.containers)) {
    if (!/^[0-9a-f]{64}$/.test(id) || context.store.byId(id)) continue
    const lock = await tryLockContainer(context, id)
    if (!lock) continue
    await using _lock = lock
    if (!context.store.byId(id)) await rm(directoryOf(context, id), { recursive: true, force: true })
  }
  const known = new Set(context.store.all().map((stored) => stored.id.slice(0, 32)))
  for (const name of namesIn(paths.bundles)) {
    // Others than containers run below this directory too (build steps); theirs bear other names.
    if (!/^[0-9a-f]{32}$/.test(name) || known.has(name)) continue
    const bundle = `${paths.bundles}/${name}`
    const row = context.db.one('SELECT id FROM containers WHERE id >= ? AND id < ?', name, `${name}g`)
    if (row) continue
    await destroyLeftover(bundle, paths.runcRoot)
    rmSync(bundle, { recursive: true, force: true })
  }
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}
