import { openEngine } from '../engine/open.ts'
import { enginePaths } from '../engine/state/paths.ts'
import { acquireLock } from '../platform/lock.ts'
import { listenAgentSocket } from './agent-socket.ts'
import { startAfterBoot } from './boot.ts'
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

/**
 * The agent of a state root, until `signal` aborts, a newer build takes its place, or no container has needed it for a
 * few seconds. It waits for one that is ending; holds nothing that cannot be taken up by the next when it is killed.
 */
export async function runAgent(options: AgentOptions, signal: AbortSignal): Promise<void> {
  const paths = enginePaths(options.env)
  await using _lock = await acquireLock(paths.root, AGENT_LOCK, { signal })
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
      { pid: process.pid, build: options.build ?? agentBuild() },
      { onQuit: over.resolve, onClientsChange: () => endWhenIdle(GRACE_MS) },
    ),
  )
  stack.defer(() => clearTimeout(timer))
  await supervisor.ready
  await startAfterBoot(engine, options.onError)
  endWhenIdle(FIRST_GRACE_MS)
  await over.promise
}
