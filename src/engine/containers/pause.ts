import { TcomposeError } from '../../base/errors.ts'
import { type ContainerContext, emitContainer, lockContainer } from './deps.ts'
import { setFrozen } from './freezer.ts'
import { settleLocked } from './settle.ts'
import type { StoredContainer } from './store.ts'

/** @throws TcomposeError CONFLICT when it does not run or is paused already */
export async function pauseContainer(context: ContainerContext, id: string): Promise<void> {
  await using _lock = await lockContainer(context, id)
  const stored = await runningOnly(context, id, 'running')
  await setFrozen(stored.state.pid, true)
  context.store.setState(id, { ...stored.state, status: 'paused' })
  await emitContainer(context, stored, 'pause')
}

/** @throws TcomposeError CONFLICT when it is not paused */
export async function unpauseContainer(context: ContainerContext, id: string): Promise<void> {
  await using _lock = await lockContainer(context, id)
  const stored = await runningOnly(context, id, 'paused')
  await setFrozen(stored.state.pid, false)
  context.store.setState(id, { ...stored.state, status: 'running' })
  await emitContainer(context, stored, 'unpause')
}

async function runningOnly(
  context: ContainerContext,
  id: string,
  wanted: 'running' | 'paused',
): Promise<StoredContainer> {
  const stored = await settleLocked(context, id)
  if (!stored) throw new TcomposeError('NOT_FOUND', `No such container: ${id}`)
  const { status } = stored.state
  if (status === wanted) return stored
  if (wanted === 'paused') throw new TcomposeError('CONFLICT', `Container ${stored.id} is not paused`)
  const why = status === 'paused' ? 'is already paused' : 'is not running'
  throw new TcomposeError('CONFLICT', `Container ${stored.id} ${why}`)
}
