import { isTcomposeError, messageOf, TcomposeError } from '../base/errors.ts'
import type { MountSpec } from '../engine/containers/spec.ts'
import type { Engine } from '../engine/engine.ts'
import type { ExecuteOptions } from './execute.ts'
import { runHook, runInit } from './hooks.ts'
import type { Action, Operation } from './plan.ts'
import { runProvider } from './provider.ts'
import { waitFor } from './wait.ts'

/** Does one operation: the engine call its action names, and nothing else. */
export async function performAction(operation: Operation, engine: Engine, options: ExecuteOptions): Promise<void> {
  const { action } = operation
  const { signal } = options
  switch (action.kind) {
    case 'createNetwork':
      await engine.networks.create(action.spec)
      return
    case 'removeNetwork':
      return removeNetwork(action, engine, options, operation)
    case 'connectContainer':
      await engine.containers.connect(action.container.id, action.endpoint)
      return
    case 'disconnectContainer':
      return ignoreMissing(engine.containers.disconnect(action.container.id, action.network.id))
    case 'createVolume':
      await engine.volumes.create(action.spec)
      return
    case 'removeVolume':
      return removeVolume(action, engine, options, operation)
    case 'createContainer':
      return createContainer(action, engine, signal)
    case 'renameContainer':
      return engine.containers.rename(action.container.id, action.to)
    case 'startContainer':
      await options.beforeStart?.()
      await engine.containers.start(action.container.id, { signal })
      return
    case 'stopContainer':
      return ignoreMissing(
        engine.containers.stop(action.container.id, { timeoutSeconds: action.timeoutSeconds, signal }),
      )
    case 'restartContainer':
      await options.beforeStart?.()
      return engine.containers.restart(action.container.id, { timeoutSeconds: action.timeoutSeconds, signal })
    case 'killContainer':
      return ignoreMissing(engine.containers.kill(action.container.id, action.signal))
    case 'pauseContainer':
      return engine.containers.pause(action.container.id)
    case 'unpauseContainer':
      return engine.containers.unpause(action.container.id)
    case 'removeContainer':
      return ignoreMissing(
        engine.containers.remove(action.container.id, { force: action.force, volumes: action.volumes }),
      )
    case 'waitFor':
      return waitFor(action, engine, operation, options)
    case 'runHook':
      return runHook(action, engine, options)
    case 'runInit':
      return runInit(action, engine, options)
    case 'buildImage':
      await engine.builder.build(action.request, { emit: options.emit, signal })
      return
    case 'pullImage':
      await engine.images.pull(action.reference, { emit: options.emit, platform: action.platform, signal })
      return
    case 'removeImage':
      return removeImage(action, engine, options, operation)
    case 'runProvider':
      await runProvider(action, { ...options, project: action.project })
      return
  }
}

/** Adds the mounts of the containers that `volumes_from` names, which were not known when the plan was made. */
export async function createContainer(
  action: Extract<Action, { kind: 'createContainer' }>,
  engine: Engine,
  signal: AbortSignal | undefined,
): Promise<void> {
  const mounts: MountSpec[] = [...(action.spec.mounts ?? [])]
  for (const from of action.volumesFrom ?? []) {
    const source = await engine.containers.get(from.container)
    for (const mount of source.mounts) {
      if (mounts.some((one) => one.target === mount.target)) continue
      const common = { target: mount.target, readOnly: from.readOnly || mount.readOnly }
      if (mount.kind === 'volume') mounts.push({ kind: 'volume', source: mount.name, ...common })
      else if (mount.kind === 'bind') mounts.push({ kind: 'bind', source: mount.source, ...common })
    }
  }
  await engine.containers.create({ ...action.spec, mounts }, { id: action.id, signal })
}

/** What somebody else removed meanwhile is as gone as we wanted it. */
async function ignoreMissing(work: Promise<unknown>): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!isTcomposeError(error, 'NOT_FOUND')) throw error
  }
}

async function removeNetwork(
  action: Extract<Action, { kind: 'removeNetwork' }>,
  engine: Engine,
  options: ExecuteOptions,
  operation: Operation,
): Promise<void> {
  try {
    await engine.networks.remove(action.network.id)
    options.emit({ id: operation.display.id, status: 'done', text: 'Removed' })
  } catch (error) {
    if (isTcomposeError(error, 'NOT_FOUND')) {
      options.emit({ id: operation.display.id, status: 'warning', text: 'No resource found to remove' })
    } else if (action.inUse === 'warn' && isTcomposeError(error, 'CONFLICT')) {
      options.emit({ id: operation.display.id, status: 'warning', text: 'Resource is still in use' })
    } else throw error
  }
}

async function removeVolume(
  action: Extract<Action, { kind: 'removeVolume' }>,
  engine: Engine,
  options: ExecuteOptions,
  operation: Operation,
): Promise<void> {
  try {
    await engine.volumes.remove(action.name)
    options.emit({ id: operation.display.id, status: 'done', text: 'Removed' })
  } catch (error) {
    if (isTcomposeError(error, 'NOT_FOUND')) {
      options.emit({ id: operation.display.id, status: 'warning', text: 'No resource found to remove' })
    } else if (action.inUse === 'warn' && isTcomposeError(error, 'CONFLICT')) {
      options.emit({ id: operation.display.id, status: 'warning', text: 'Resource is still in use' })
    } else throw error
  }
}

async function removeImage(
  action: Extract<Action, { kind: 'removeImage' }>,
  engine: Engine,
  options: ExecuteOptions,
  operation: Operation,
): Promise<void> {
  const { id } = operation.display
  try {
    await engine.images.remove(action.reference)
    options.emit({ id, status: 'done', text: 'Removed' })
  } catch (error) {
    if (isTcomposeError(error, 'NOT_FOUND')) {
      options.emit({ id, status: 'warning', text: 'No resource found to remove' })
    } else if (isTcomposeError(error, 'CONFLICT')) {
      options.emit({ id, status: 'warning', text: 'Resource is still in use' })
    } else throw new TcomposeError('FAILED', `image ${action.reference}: ${messageOf(error)}`, { cause: error })
  }
}
