import { PassThrough, Writable } from 'node:stream'
import { TcomposeError } from '../../base/errors.ts'
import { connectShim, type ShimExit, type ShimProcess } from '../../runtime/shim-client.ts'
import { bundleOf, type ContainerContext } from './deps.ts'
import { observe } from './observe.ts'
import { settle } from './settle.ts'
import type { StoredContainer } from './store.ts'
import type { ExitStatus, ProcessStreams } from './types.ts'

/**
 * A container's own stdio. One that does not run is waited for: a start by this process lets those who wait connect
 * between the shim's readiness and the first instruction, so that they miss nothing.
 */
export async function attachContainer(context: ContainerContext, stored: StoredContainer): Promise<ProcessStreams> {
  const { id } = stored
  const { status } = observe(stored.state, bundleOf(context, id), context.boot).state
  if (status !== 'running' && status !== 'paused') return attachAtStart(context, id)
  const connection = await connectShim(bundleOf(context, id))
  return streamsOf(connection.attach({ whenBehind: 'hold' }), {
    close: () => connection.close(),
    ended: () => recordEnd(context, id),
  })
}

type Waiter = (bundle: string) => Promise<void>

/** Those in this process who wait for a container's start, by id. */
const waiting = new Map<string, Set<Waiter>>()

/** Called by a start between the shim's readiness and the container's first instruction. */
export async function connectWaiting(id: string, bundle: string): Promise<void> {
  const waiters = waiting.get(id)
  waiting.delete(id)
  await Promise.all([...(waiters ?? [])].map((waiter) => waiter(bundle)))
}

function attachAtStart(context: ContainerContext, id: string): ProcessStreams {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const { promise: exit, resolve, reject } = Promise.withResolvers<ExitStatus>()
  exit.catch(() => {})
  let live: ProcessStreams | undefined
  let detached = false
  const pending: (() => void)[] = []
  const whenLive = (action: (streams: ProcessStreams) => void): void => {
    if (live) action(live)
    else pending.push(() => live && action(live))
  }
  const waiter: Waiter = async (bundle) => {
    if (detached) return
    try {
      const connection = await connectShim(bundle)
      live = streamsOf(connection.attach({ whenBehind: 'hold' }), {
        close: () => connection.close(),
        ended: () => recordEnd(context, id),
      })
    } catch (error) {
      // The start goes on without us, or fails by itself for the same reason.
      return reject(error)
    }
    live.stdout.pipe(stdout)
    live.stderr.pipe(stderr)
    live.exit.then(resolve, reject)
    for (const action of pending.splice(0)) action()
  }
  const waiters = waiting.get(id) ?? new Set()
  waiting.set(id, waiters.add(waiter))
  const stdin = new Writable({
    write: (chunk, encoding, done) => whenLive((streams) => streams.stdin.write(chunk, encoding, () => done())),
    final: (done) => whenLive((streams) => streams.stdin.end(() => done())),
  })
  return {
    stdin,
    stdout,
    stderr,
    exit,
    resize: (size) => whenLive((streams) => streams.resize(size)),
    signal: (signal) => whenLive((streams) => streams.signal(signal)),
    detach() {
      detached = true
      waiters.delete(waiter)
      if (live) return live.detach()
      stdout.end()
      stderr.end()
      reject(new TcomposeError('CANCELED', 'detached before the container started'))
    },
  }
}

async function recordEnd(context: ContainerContext, id: string): Promise<void> {
  await settle(context, id)
}

export interface StreamHooks {
  /** Lets go of a connection that is not the process's own. */
  readonly close?: () => void
  /** Done before `exit` settles. */
  readonly ended?: (exit: ShimExit) => Promise<void>
}

/** A shim's process as the engine's callers see it. */
export function streamsOf(child: ShimProcess, hooks: StreamHooks): ProcessStreams {
  const exit = child.exit.then(async (ended) => {
    await hooks.ended?.(ended)
    hooks.close?.()
    return statusOf(ended)
  })
  exit.catch(() => {})
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    exit,
    resize: (size) => child.resize(size),
    signal: (signal) => child.signal(signal),
    detach() {
      child.detach()
      hooks.close?.()
    },
  }
}

function statusOf(ended: ShimExit): ExitStatus {
  const { exitCode, oomKilled, error } = ended
  return { exitCode, ...(oomKilled ? { oomKilled } : {}), ...(error === undefined ? {} : { error }) }
}
