import { sleep } from '../../base/concurrency.ts'
import { TcomposeError, throwIfAborted } from '../../base/errors.ts'
import { connectShim } from '../../runtime/shim-client.ts'
import { bundleOf, type ContainerContext } from './deps.ts'
import { observe } from './observe.ts'
import { settle } from './settle.ts'
import type { StoredContainer } from './store.ts'
import type { ExitStatus } from './types.ts'

const POLL_MS = 100

/**
 * Waits until the container's process has ended (its end need not be recorded yet).
 * @returns false when `timeoutMs` passed before
 */
export async function waitForExit(
  context: ContainerContext,
  id: string,
  options: { readonly timeoutMs?: number | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<boolean> {
  const { timeoutMs, signal } = options
  const deadline = timeoutMs === undefined ? undefined : Date.now() + timeoutMs
  for (;;) {
    throwIfAborted(signal)
    const stored = context.store.byId(id)
    if (!stored) return true
    const { state } = observe(stored.state, bundleOf(context, id), context.boot)
    if (state.status !== 'running' && state.status !== 'paused') return true
    const leftMs = deadline === undefined ? undefined : deadline - Date.now()
    if (leftMs !== undefined && leftMs <= 0) return false
    await shimExit(bundleOf(context, id), leftMs, signal)
  }
}

/** Waits on the shim's own word; when it cannot be asked, a moment, so that the caller looks again. */
async function shimExit(bundle: string, leftMs: number | undefined, signal: AbortSignal | undefined): Promise<void> {
  const limit = leftMs === undefined ? signal : anySignal(AbortSignal.timeout(leftMs), signal)
  try {
    await using connection = await connectShim(bundle, limit)
    await connection.exit
  } catch {
    // Cut off, timed out or gone: what is true is read from its files.
    if (!limit?.aborted) await sleep(Math.min(POLL_MS, leftMs ?? POLL_MS), signal)
  }
}

function anySignal(first: AbortSignal, second: AbortSignal | undefined): AbortSignal {
  return second ? AbortSignal.any([first, second]) : first
}

export type WaitCondition = 'not-running' | 'next-exit' | 'removed'

/** Settles with the exit status once `condition` holds, its end recorded. */
export async function waitContainer(
  context: ContainerContext,
  stored: StoredContainer,
  condition: WaitCondition,
  signal: AbortSignal | undefined,
): Promise<ExitStatus> {
  const { id } = stored
  const isGoneOrLive = (): boolean => {
    const current = context.store.byId(id)
    return !current || isLive(context, current)
  }
  if (condition === 'next-exit') await waitForEvent(context, id, ['start', 'destroy'], isGoneOrLive, signal)
  for (let last = statusOf(stored); ; ) {
    while (!(await waitForExit(context, id, { signal }))) {
      // Only a time-out gives false, and none was set.
    }
    const settled = await settle(context, id, signal)
    if (!settled) return (await lastExit(context, id)) ?? last
    last = statusOf(settled)
    if (condition !== 'removed') return last
    // It may be started once more before it is removed; then its end is ours to record again.
    await waitForEvent(context, id, ['start', 'destroy'], isGoneOrLive, signal)
  }
}

function isLive(context: ContainerContext, stored: StoredContainer): boolean {
  const { status } = observe(stored.state, bundleOf(context, stored.id), context.boot).state
  return status === 'running' || status === 'paused'
}

function statusOf(stored: StoredContainer): ExitStatus {
  const { exitCode, oomKilled, error } = stored.state
  return { exitCode, ...(oomKilled ? { oomKilled } : {}), ...(error ? { error } : {}) }
}

/** Waits for an event of one container, unless `isOver` says that there is nothing to wait for (any more). */
async function waitForEvent(
  context: ContainerContext,
  id: string,
  actions: readonly string[],
  isOver: () => boolean,
  signal: AbortSignal | undefined,
): Promise<void> {
  const events = await context.events()
  // First the place in the feed, then the look: what happens in between is seen twice rather than not at all.
  const sinceSequence = events.lastSequence()
  if (isOver()) return
  for await (const event of events.watch({ sinceSequence, live: true }, signal)) {
    if (event.type === 'container' && event.actorId === id && actions.includes(event.action)) return
  }
  throw new TcomposeError('CANCELED', 'interrupted', { cause: signal?.reason })
}

/** The exit of a container that was removed as soon as it ended, from the event feed. */
async function lastExit(context: ContainerContext, id: string): Promise<ExitStatus | undefined> {
  const row = context.db.one(
    "SELECT attributes FROM events WHERE type = 'container' AND action = 'die' AND actor_id = ? ORDER BY sequence DESC LIMIT 1",
    id,
  )
  if (!row) return undefined
  const { exitCode } = JSON.parse(row.attributes as string) as { exitCode?: string }
  return exitCode === undefined ? undefined : { exitCode: Number(exitCode) }
}
