import { rm } from 'node:fs/promises'
import { removeCgroupParent } from './cgroup-parent.ts'
import { discardContainer } from './create.ts'
import { bundleOf, type ContainerContext, directoryOf, emitContainer } from './deps.ts'
import { releaseEndpoints } from './endpoints.ts'
import { releaseMounts } from './mounts.ts'
import { selfIdentity } from './observe.ts'
import type { StoredContainer } from './store.ts'

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
  // A container that is being made or started has its row: with none left nobody is about to enter the group.
  if (context.db.one('SELECT 1 FROM containers LIMIT 1') === undefined) removeCgroupParent(context.paths.instance)
  context.db.flush()
  await emitContainer(context, stored, 'destroy')
}
