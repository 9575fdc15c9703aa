import { sleep } from '../base/concurrency.ts'
import { isTcomposeError } from '../base/errors.ts'
import { openEngine } from '../engine/open.ts'
import { type EnginePaths, enginePaths } from '../engine/state/paths.ts'
import { acquireLock, type Lock } from '../platform/lock.ts'
import { listenAgentSocket } from './agent-socket.ts'
import { startAfterBoot } from './boot.ts'
import { greet } from './greet.ts'
import { AGENT_LOCK, agentBuild } from './protocol.ts'
import { createSupervisor } from './supervisor.ts'

export interface AgentOptions {
  readonly env: NodeJS.ProcessEnv
  /** What it says it is; default: the build of this code. */
  readonly build?: string
  /** Lines for its log; everything it does otherwise is in the records. */
  readonly onError: (error: unknown) => void
}

/** Somebody who has started us has a container to start. */
const FIRST_GRACE_MS = 10_000
const GRACE_MS = 3000
const LOOK_AGAIN_MS = 20

/**
 * The agent of a state root, until `signal` aborts, a newer build takes its place, or no container has needed it for a
 * few seconds. It waits for one that is ending, and ends at once if there is one of the same build; holds nothing that cannot be taken up by the next when it is killed.
 */
export async function runAgent(options: AgentOptions, signal: AbortSignal): Promise<void> {
  const paths = enginePaths(options.env)
  const build = options.build ?? agentBuild()
  const lock = await takePlace(paths, build, signal)
  if (!lock) return
  await using _lock = lock
  await using stack = new AsyncDisposableStack()
  const engine = stack.use(await openEngine({ env: options.env }))
  const over = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => over.resolve(), { once: true })
  if (signal.aborted) return

  let timer: NodeJS.Timeout | undefined
  const idle = (): boolean => !supervisor.busy && socket.clients === 0
  const endWhenIdle = (graceMs: number): void => {
    clearTimeout(timer)
    timer = setTimeout(() => (idle() ? over.resolve() : undefined), graceMs)
  }
  const supervisor = stack.use(
    createSupervisor(engine, { onBusyChange: () => endWhenIdle(GRACE_MS), onError: options.onError }),
  )
  const socket = stack.use(
    await listenAgentSocket(
      paths.agentSocket,
      { pid: process.pid, build },
      { onQuit: over.resolve, onClientsChange: () => endWhenIdle(GRACE_MS) },
    ),
  )
  stack.defer(() => clearTimeout(timer))
  await supervisor.ready
  await startAfterBoot(engine, options.onError)
  endWhenIdle(FIRST_GRACE_MS)
  await over.promise
}

/** Becomes the agent when the one there has gone; undefined when there is one like us, which makes us needless. */
async function takePlace(paths: EnginePaths, build: string, signal: AbortSignal): Promise<Lock | undefined> {
  for (;;) {
    try {
      return await acquireLock(paths.root, AGENT_LOCK, { signal, noWait: true })
    } catch (error) {
      if (!isTcomposeError(error, 'CONFLICT')) throw error
    }
    const other = await greet(paths)
    other?.socket.destroy()
    if (other?.greeting.build === build) return undefined
    // It is just beginning or ending, or has been told to make room.
    await sleep(LOOK_AGAIN_MS, signal)
  }
}
