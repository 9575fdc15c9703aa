import type { Container, Containers } from '../engine/containers/types.ts'
import { restartDelayMs } from './restart.ts'

/** Starts containers again as their policies say. */
export interface Restarter {
  /** To be told of every container that stands still, as often as one likes. */
  consider(container: Container): void
  /** Only these are there any more. */
  forget(known: ReadonlySet<string>): void
  /** Containers it waits to start, or is starting. */
  readonly pending: number
  close(): void
}

interface Waiting {
  /** The end it is about. */
  readonly finishedAt: string
  delayMs: number
  timer: NodeJS.Timeout | undefined
  starting: boolean
}

export interface RestarterDeps {
  readonly containers: Pick<Containers, 'markRestarting' | 'startAgain' | 'find'>
  readonly onStarted: () => void
  readonly onError: (error: unknown) => void
}

export function createRestarter(deps: RestarterDeps): Restarter {
  const waiting = new Map<string, Waiting>()
  /** Delay before the last start by policy, for the back-off. */
  const delays = new Map<string, number>()
  /** Ends that were decided upon. */
  const decided = new Map<string, string>()

  const consider = (container: Container): void => {
    const { id, state, spec } = container
    const pending = waiting.get(id)
    if (pending) {
      if (!pending.starting && (state.stoppedByUser || state.finishedAt !== pending.finishedAt)) giveUp(id)
      else return
    }
    if (state.startedAt === '' || state.finishedAt === '' || decided.get(id) === state.finishedAt) return
    decided.set(id, state.finishedAt)
    const delayMs = restartDelayMs({
      policy: spec.restart,
      exitCode: state.exitCode,
      restartCount: state.restartCount,
      stoppedByUser: state.stoppedByUser,
      ranMs: Date.parse(state.finishedAt) - Date.parse(state.startedAt),
      lastDelayMs: delays.get(id),
    })
    if (delayMs === undefined) {
      delays.delete(id)
      return
    }
    const entry: Waiting = { finishedAt: state.finishedAt, delayMs, timer: undefined, starting: false }
    waiting.set(id, entry)
    deps.containers.markRestarting(id, true).catch(deps.onError)
    schedule(id, entry)
  }

  const schedule = (id: string, entry: Waiting): void => {
    delays.set(id, entry.delayMs)
    entry.timer = setTimeout(() => {
      entry.starting = true
      start(id, entry).catch(deps.onError)
    }, entry.delayMs)
  }

  const start = async (id: string, entry: Waiting): Promise<void> => {
    try {
      await deps.containers.startAgain(id)
      waiting.delete(id)
    } catch (error) {
      deps.onError(error)
      await afterFailure(id, entry)
    }
    deps.onStarted()
  }

  /** What kept it from starting (a port that is taken, a missing mount) may pass. */
  const afterFailure = async (id: string, entry: Waiting): Promise<void> => {
    const container = await deps.containers.find(id)
    const keepTrying = container?.spec.restart?.name === 'always' || container?.spec.restart?.name === 'unless-stopped'
    const stands = container?.state.status === 'exited' || container?.state.status === 'restarting'
    if (!container || !keepTrying || !stands || container.state.stoppedByUser) {
      waiting.delete(id)
      if (container?.state.status === 'restarting') await deps.containers.markRestarting(id, false)
      return
    }
    decided.set(id, container.state.finishedAt)
    await deps.containers.markRestarting(id, true)
    entry.starting = false
    entry.delayMs = Math.min(entry.delayMs * 2, 60_000)
    schedule(id, entry)
  }

  const giveUp = (id: string): void => {
    clearTimeout(waiting.get(id)?.timer)
    waiting.delete(id)
  }

  return {
    consider,
    forget(known) {
      for (const id of [...waiting.keys()]) if (!known.has(id)) giveUp(id)
      for (const kept of [delays, decided]) for (const id of kept.keys()) if (!known.has(id)) kept.delete(id)
    },
    get pending() {
      return waiting.size
    },
    close() {
      for (const id of [...waiting.keys()]) giveUp(id)
    },
  }
}
