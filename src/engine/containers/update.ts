import { TcomposeError } from '../../base/errors.ts'
import { run } from '../../platform/exec.ts'
import { readHostFacts } from '../../runtime/oci-spec-host.ts'
import { limitsOf } from '../../runtime/oci-spec-resources.ts'
import { type ContainerContext, emitContainer, lockContainer } from './deps.ts'
import { checkControls } from './kernel-controls.ts'
import { settleLocked } from './settle.ts'
import type { ResourceSpec, RestartPolicy } from './spec.ts'

/** Changes limits and restart policy; a live container's cgroup at once. */
export async function updateContainer(
  context: ContainerContext,
  id: string,
  change: { readonly resources?: ResourceSpec; readonly restart?: RestartPolicy },
): Promise<void> {
  await using _lock = await lockContainer(context, id)
  const stored = await settleLocked(context, id)
  if (!stored) throw new TcomposeError('NOT_FOUND', `No such container: ${id}`)
  const { spec } = stored.record
  if (change.restart && spec.autoRemove && change.restart.name !== 'no') {
    throw new TcomposeError(
      'CONFLICT',
      'Restart policy cannot be updated because AutoRemove is enabled for the container',
    )
  }
  const resources = { ...spec.resources, ...change.resources }
  const host = readHostFacts()
  checkControls(resources, host.cgroupVersion)
  const limits = limitsOf(resources, host)
  const live = stored.state.status === 'running' || stored.state.status === 'paused'
  if (live && change.resources) {
    const args = ['--root', context.paths.runcRoot, 'update', '--resources', '-', id]
    await run('runc', args, { input: JSON.stringify(limits) })
  }
  context.store.setRecord(id, {
    ...stored.record,
    spec: {
      ...spec,
      ...(Object.keys(resources).length > 0 ? { resources } : {}),
      ...(change.restart ? { restart: change.restart } : {}),
    },
  })
  await emitContainer(context, stored, 'update')
}
