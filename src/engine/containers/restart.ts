import { TcomposeError } from '../../base/errors.ts'
import { type ContainerContext, emitContainer, lockContainer } from './deps.ts'
import { settleLocked } from './settle.ts'
import { startContainer } from './start.ts'
import { type StopOptions, stopContainer } from './stop.ts'
import type { StoredContainer } from './store.ts'

/** Stop and start, without auto-removal in between. */
export async function restartContainer(
  context: ContainerContext,
  stored: StoredContainer,
  options: StopOptions = {},
): Promise<void> {
  const { id } = stored
  {
    await using _lock = await lockContainer(context, id, options.signal)
    const current = await settleLocked(context, id)
    if (!current) throw new TcomposeError('NOT_FOUND', `No such container: ${id}`)
    context.store.setState(id, { ...current.state, restartUnderWay: true })
  }
  await stopContainer(context, id, options)
  await startContainer(context, id, { signal: options.signal })
  await emitContainer(context, stored, 'restart')
}
