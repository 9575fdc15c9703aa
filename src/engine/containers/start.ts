import { existsSync, mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { isTcomposeError, messageOf, TcomposeError, throwIfAborted } from '../../base/errors.ts'
import { launchShim } from '../../runtime/shim-client.ts'
import type { AttachRequest, ContainerInterface } from '../networks/types.ts'
import { connectWaiting } from './attach.ts'
import { bundleOf, type ContainerContext, emitContainer, lockContainer, tryLockContainer } from './deps.ts'
import { removeLocked } from './erase.ts'
import { launchRequest } from './launch.ts'
import { isBroken, selfIdentity } from './observe.ts'
import { clearRun, settleLocked } from './settle.ts'
import type { StoredContainer, StoredState } from './store.ts'
import { nowNano } from './timestamps.ts'

/** Docker's exit code of a container that could not be started, where the failure has none of its own. */
const EXIT_NOT_STARTED = 128

export interface StartOptions {
  readonly signal?: AbortSignal | undefined
  /** By restart policy: counts, and is given up when the state is no longer `restarting`. */
  readonly again?: boolean
}

/** Starts a container; one that runs is left alone. @returns whether it was started by this call */
export async function startContainer(
  context: ContainerContext,
  id: string,
  options: StartOptions = {},
): Promise<boolean> {
  await using _lock = await lockContainer(context, id, options.signal)
  const stored = await settleLocked(context, id)
  if (!stored) throw new TcomposeError('NOT_FOUND', `No such container: ${id}`)
  const { state } = stored
  if (options.again && state.status !== 'restarting') return false
  if (state.status === 'running') return false
  if (state.status === 'paused') {
    throw new TcomposeError('CONFLICT', 'cannot start a paused container, try unpause instead')
  }
  if (state.phase === 'creating' || state.phase === 'removing' || state.status === 'removing') {
    throw new TcomposeError('CONFLICT', `container ${stored.name} is marked for removal and cannot be started`)
  }
  try {
    await run(context, stored, options)
  } catch (error) {
    await recordFailure(context, stored, error)
    throw error
  }
  return true
}

/**
 * The order makes every instant repairable: the row says `starting` with us as holder before anything is made; a shim
 * that is not told to start ends by itself; once it was told, its pid file says that it ran.
 */
async function run(context: ContainerContext, stored: StoredContainer, options: StartOptions): Promise<void> {
  const { id } = stored
  const { signal } = options
  const bundle = bundleOf(context, id)
  if (existsSync(bundle)) await rm(bundle, { recursive: true })
  mkdirSync(bundle, { mode: 0o700 })
  const before = stored.state.status === 'created' ? 'created' : 'exited'
  const state: StoredState = {
    ...stored.state,
    status: before,
    exitCode: stored.state.exitCode,
    bootId: context.boot,
    phase: 'starting',
    before,
    holder: selfIdentity(),
  }
  context.store.setState(id, state)
  const { record } = stored
  const onNetworks = record.spec.network.kind === 'networks'
  const ports = onNetworks ? await choosePorts(context, stored) : []
  const request = await launchRequest(context, stored, ports)
  throwIfAborted(signal)
  const handle = await launchShim(request, signal)
  try {
    const starting: StoredState = {
      ...state,
      shimPid: handle.shimPid,
      shimStart: handle.shimStart,
      startedAt: nowNano(),
    }
    context.store.setState(id, starting)
    const interfaces: readonly ContainerInterface[] = onNetworks
      ? await (await context.networks()).attach({
          containerId: id,
          pid: handle.shimPid,
          endpoints: stored.endpoints,
          ports,
        })
      : []
    await connectWaiting(id, bundle)
    const startedAt = nowNano()
    const { pid, pidStart } = await handle.start(interfaces, signal)
    context.store.setState(id, running(starting, { pid, pidStart, startedAt, again: options.again ?? false }, stored))
  } catch (error) {
    await handle.abort()
    throw error
  }
  await emitContainer(context, stored, 'start')
}

/** A port may still stand against a container that has ended unseen: its end is recorded before we give up. */
async function choosePorts(context: ContainerContext, stored: StoredContainer): Promise<AttachRequest['ports']> {
  const networks = await context.networks()
  const wanted = stored.record.spec.ports ?? []
  try {
    return await networks.choosePorts(stored.id, wanted)
  } catch (error) {
    const unseen = isTcomposeError(error, 'CONFLICT')
      ? context.store.all().filter((other) => other.ports.length > 0 && other.id !== stored.id)
      : []
    const ended = unseen.filter((other) => isBroken(other, context.paths, context.boot))
    if (ended.length === 0) throw error
    for (const other of ended) {
      // Never wait for another's lock while holding our own.
      await using lock = await tryLockContainer(context, other.id)
      if (lock) await settleLocked(context, other.id)
    }
    return await networks.choosePorts(stored.id, wanted)
  }
}

function running(
  starting: StoredState,
  run: { readonly pid: number; readonly pidStart: string; readonly startedAt: string; readonly again: boolean },
  stored: StoredContainer,
): StoredState {
  const { phase: _, before: __, holder: ___, restartUnderWay: ____, ...rest } = starting
  return {
    ...rest,
    status: 'running',
    pid: run.pid,
    pidStart: run.pidStart,
    startedAt: run.startedAt,
    finishedAt: stored.state.finishedAt,
    exitCode: 0,
    oomKilled: false,
    error: '',
    restartCount: run.again ? stored.state.restartCount + 1 : 0,
    stoppedByUser: false,
    health: stored.record.config.healthcheck ? { status: 'starting', failingStreak: 0, log: [] } : undefined,
  }
}

async function recordFailure(context: ContainerContext, stored: StoredContainer, error: unknown): Promise<void> {
  const { id } = stored
  await clearRun(context, id, bundleOf(context, id))
  const { phase: _, before: __, holder: ___, restartUnderWay: ____, ...rest } = stored.state
  const failed: StoredState = {
    ...rest,
    status: stored.state.status === 'created' ? 'created' : 'exited',
    exitCode: (isTcomposeError(error) ? error.exitCode : undefined) ?? EXIT_NOT_STARTED,
    error: messageOf(error),
    shimPid: 0,
    shimStart: '',
  }
  context.store.setState(id, failed)
  if (stored.record.spec.autoRemove) await removeLocked(context, { ...stored, state: failed }, { volumes: true })
}
