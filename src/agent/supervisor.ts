import type { Container } from '../engine/containers/types.ts'
import type { Engine } from '../engine/engine.ts'
import { watchDatabaseChanges } from '../engine/events/database-changes.ts'
import { createForwarder } from './dns-forward.ts'
import { buildNameIndex, type NameIndex } from './name-index.ts'
import { createHostResolvConf } from './resolv-conf.ts'
import { createRestarter } from './restarter.ts'
import { runOf, type WatchDeps, type Watched, watchContainer } from './watched.ts'

/** Looks after all containers of a state root. */
export interface Supervisor extends AsyncDisposable {
  /** Whether some container runs, or is to run again. */
  readonly busy: boolean
  /** Settles when the records have been looked at once. */
  readonly ready: Promise<void>
}

export interface SupervisorOptions {
  readonly onBusyChange: () => void
  readonly onError: (error: unknown) => void
}

/** A burst of changes (an `up` of fifty services) is looked at this often. */
const LOOK_EVERY_MS = 40
/** Events after which names, states and addresses are what they were. */
const NO_NEWS = /^(exec_|health_status|top|resize|attach|detach|archive-path|extract-to-dir|copy|export|pull|push|tag)/
/** A look without any sign of change: for what a killed process wrote and did not tell. */
const LOOK_ANYWAY_MS = 5000

export function createSupervisor(engine: Engine, options: SupervisorOptions): Supervisor {
  const watched = new Map<string, Watched>()
  const settling = new Set<string>()
  /** Time of the last end that is known to be written down. */
  const settled = new Map<string, string>()
  const changes = watchDatabaseChanges(engine.paths.database)
  let internal = new Set<string>()
  let names: NameIndex = buildNameIndex([])
  let seen = -1
  let looking: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let checkedNow = false
  let closed = false
  let busy = true

  /** Whether the feed tells of anything that changes what is known here: probes fill it with execs. */
  const hasNews = async (): Promise<boolean> => {
    const from = seen + 1
    let last = seen
    for await (const event of engine.events.watch({ sinceSequence: from, live: false })) {
      if (!NO_NEWS.test(event.action)) return true
      last = event.sequence
    }
    // Unless a look has gone further meanwhile.
    if (seen + 1 === from) seen = last
    return false
  }

  const look = async (): Promise<void> => {
    seen = engine.events.lastSequence()
    const containers = await engine.containers.list()
    if (closed) return
    await learnNetworks(containers)
    if (closed) return
    const running = containers.filter(isLive)
    names = buildNameIndex(running)
    const live = new Map(running.map((container) => [container.id, container]))
    for (const [id, one] of watched) {
      const container = live.get(id)
      if (container && runOf(container) === one.run) continue
      one.close()
      watched.delete(id)
    }
    const known = new Set(containers.map(({ id }) => id))
    for (const id of settled.keys()) if (!known.has(id)) settled.delete(id)
    restarter.forget(known)
    for (const container of running) {
      const one = watched.get(container.id)
      if (one) one.update(container, names)
      else watched.set(container.id, watchContainer(container, names, deps))
    }
    for (const container of containers) {
      if (isAtRest(container)) atRest(container)
    }
    setBusy(running.length > 0 || restarter.pending > 0 || settling.size > 0)
  }

  /** One look at a time; a call during one gets the next. */
  const lookNow = async (): Promise<void> => {
    await looking?.catch(() => {})
    looking ??= look().finally(() => {
      looking = undefined
    })
    await looking
  }
  const lookSoon = (): void => {
    if (closed) return
    timer ??= setTimeout(() => {
      timer = undefined
      if (!closed) lookNow().catch(options.onError)
    }, LOOK_EVERY_MS)
  }

  /** An end is written down first (the records show it before anybody has); then policy may act on it. */
  const atRest = (container: Container): void => {
    if (settled.get(container.id) === container.state.finishedAt) restarter.consider(container)
    else settle(container.id).catch(options.onError)
  }

  const settle = async (id: string): Promise<void> => {
    if (settling.has(id) || closed) return
    settling.add(id)
    try {
      const container = await engine.containers.settle(id)
      if (container) settled.set(id, container.state.finishedAt)
      else settled.delete(id)
      if (container && isAtRest(container) && !closed) restarter.consider(container)
    } finally {
      settling.delete(id)
      lookSoon()
    }
  }

  const learnNetworks = async (containers: readonly Container[]): Promise<void> => {
    const used = new Set(containers.flatMap(({ endpoints }) => endpoints.map(({ networkId }) => networkId)))
    if (used.size === 0) return
    const networks = await engine.networks.list()
    internal = new Set(networks.filter(({ spec }) => spec.internal).map(({ id }) => id))
  }

  const setBusy = (now: boolean): void => {
    if (busy === now) return
    busy = now
    options.onBusyChange()
  }

  const deps: WatchDeps = {
    engine,
    forwarder: createForwarder(),
    hostResolvConf: createHostResolvConf(),
    isInternal: (id) => internal.has(id),
    freshNames() {
      // Once per turn of the loop: a burst of questions costs one look at the feed's end.
      if (checkedNow) return undefined
      checkedNow = true
      setImmediate(() => {
        checkedNow = false
      })
      return engine.events.lastSequence() === seen ? undefined : lookIfNews()
    },
    onEnd: (id) => void settle(id).catch(options.onError),
    onError: options.onError,
  }
  const restarter = createRestarter({
    containers: engine.containers,
    onStarted: lookSoon,
    onError: options.onError,
  })
  const lookIfNews = async (): Promise<void> => {
    if (await hasNews()) await lookNow()
  }
  const subscription = changes.subscribe(() => {
    if (timer || engine.events.lastSequence() === seen) return
    hasNews().then((news) => (news ? lookSoon() : undefined), options.onError)
  })
  const beat = setInterval(lookSoon, LOOK_ANYWAY_MS)

  return {
    get busy() {
      return busy
    },
    ready: lookNow(),
    async [Symbol.asyncDispose]() {
      closed = true
      clearInterval(beat)
      clearTimeout(timer)
      subscription[Symbol.dispose]()
      changes[Symbol.dispose]()
      restarter.close()
      for (const one of watched.values()) one.close()
      await looking?.catch(() => {})
    },
  }
}

function isLive(container: Container): boolean {
  return container.state.status === 'running' || container.state.status === 'paused'
}

function isAtRest(container: Container): boolean {
  return container.state.status === 'exited' || container.state.status === 'restarting'
}
