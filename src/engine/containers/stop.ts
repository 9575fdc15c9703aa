import { TcomposeError } from '../../base/errors.ts'
import { signalProcess } from '../../platform/process.ts'
import { bundleOf, type ContainerContext, emitContainer, lockContainer } from './deps.ts'
import { setFrozen } from './freezer.ts'
import { observe } from './observe.ts'
import { settle, settleLocked } from './settle.ts'
import { parseSignal } from './signals.ts'
import type { StoredContainer } from './store.ts'
import { waitForExit } from './wait.ts'

/** How long the kernel may take to end a killed process before we say so. */
const KILL_WAIT_MS = 30_000

export interface StopOptions {
  readonly timeoutSeconds?: number | undefined
  readonly stopSignal?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** Stop signal, grace period, SIGKILL. One that does not run is left alone, but for restarts that were to come. */
export async function stopContainer(context: ContainerContext, id: string, options: StopOptions = {}): Promise<void> {
  const stored = await markStopped(context, id, options.signal)
  if (!stored) return
  const { config } = stored.record
  const stopSignal = options.stopSignal ?? config.stopSignal
  const timeoutSeconds = options.timeoutSeconds ?? config.stopTimeoutSeconds
  await sendSignal(context, stored, parseSignal(stopSignal))
  const patience = timeoutSeconds < 0 ? undefined : timeoutSeconds * 1000
  if (!(await waitForExit(context, id, { timeoutMs: patience, signal: options.signal }))) {
    await killAndWait(context, id)
  }
  await settle(context, id)
  await emitContainer(context, stored, 'stop')
}

/** Notes that a person wants it stopped; undefined when there is nothing to stop. */
async function markStopped(
  context: ContainerContext,
  id: string,
  signal: AbortSignal | undefined,
): Promise<StoredContainer | undefined> {
  await using _lock = await lockContainer(context, id, signal)
  const stored = await settleLocked(context, id)
  if (!stored) return undefined
  const { status } = stored.state
  const live = status === 'running' || status === 'paused'
  if (!live && status !== 'restarting') return undefined
  context.store.setState(id, {
    ...stored.state,
    stoppedByUser: true,
    status: status === 'restarting' ? 'exited' : status,
  })
  return live ? stored : undefined
}

/** Sends a signal to the first process of a running container, with the `kill` event; a frozen one is let go. */
export async function sendSignal(context: ContainerContext, stored: StoredContainer, number: number): Promise<void> {
  const { state } = stored
  const sent = signalProcess({ pid: state.pid, start: state.pidStart }, number)
  if (sent && state.status === 'paused') await thaw(context, stored.id)
  await emitContainer(context, stored, 'kill', { signal: String(number) })
}

async function thaw(context: ContainerContext, id: string): Promise<void> {
  await using _lock = await lockContainer(context, id)
  const current = context.store.byId(id)
  if (current?.state.status !== 'paused') return
  await setFrozen(current.state.pid, false)
  context.store.setState(id, { ...current.state, status: 'running' })
}

/** @throws TcomposeError CONFLICT when it does not run; INVALID for an unknown signal */
export async function killContainer(context: ContainerContext, stored: StoredContainer, signal: string): Promise<void> {
  const number = parseSignal(signal)
  const seen = observe(stored.state, bundleOf(context, stored.id), context.boot)
  if (seen.state.status !== 'running' && seen.state.status !== 'paused') {
    throw new TcomposeError('CONFLICT', `cannot kill container: ${stored.name}: container ${stored.id} is not running`)
  }
  // SIGKILL and the stop signal mean that it shall end and stay so; any other is its own affair.
  const ends = number === 9 || number === parseSignal(stored.record.config.stopSignal)
  if (ends) await markStopped(context, stored.id, undefined)
  await sendSignal(context, { ...stored, state: seen.state }, number)
  if (number === 9 && (await waitForExit(context, stored.id, { timeoutMs: KILL_WAIT_MS }))) {
    await settle(context, stored.id)
  }
}

/** SIGKILL, and its end awaited. @throws TcomposeError TIMEOUT when the kernel does not end it (stuck in a device) */
export async function killAndWait(context: ContainerContext, id: string): Promise<void> {
  const stored = context.store.byId(id)
  if (!stored) return
  await sendSignal(context, stored, 9)
  if (await waitForExit(context, id, { timeoutMs: KILL_WAIT_MS })) return
  throw new TcomposeError('TIMEOUT', `container ${stored.name} did not end after SIGKILL`)
}
