import { type ContainerLink, linkContainer } from '../engine/agent-link.ts'
import type { Container } from '../engine/containers/types.ts'
import type { Engine } from '../engine/engine.ts'
import { createNameAnswers, type NameAnswers } from './dns-answers.ts'
import type { Forwarder } from './dns-forward.ts'
import { encodeError, SERVFAIL } from './dns-message.ts'
import { healthPlan } from './health.ts'
import type { NameIndex } from './name-index.ts'
import { probeHealth } from './prober.ts'
import { ndotsOf, type ResolvConf } from './resolv-conf.ts'

export interface WatchDeps {
  readonly engine: Engine
  readonly forwarder: Forwarder
  readonly hostResolvConf: () => ResolvConf
  /** Ids of networks without a way out. */
  readonly isInternal: (networkId: string) => boolean
  /** Called before a question is answered: settles when the names are up to date, undefined when they are. */
  readonly freshNames: () => Promise<void> | undefined
  /** Its process has gone (or its shim): to be settled. */
  readonly onEnd: (id: string) => void
  readonly onError: (error: unknown) => void
}

/** One run of a container: its questions are answered, its health is probed, its end is noticed. */
export interface Watched {
  /** Tells runs of one container apart. */
  readonly run: string
  /** Called with each new look at the records. */
  update(container: Container, names: NameIndex): void
  close(): void
}

export function runOf(container: Container): string {
  return `${container.state.shimPid} ${container.state.shimStart}`
}

export function watchContainer(initial: Container, names: NameIndex, deps: WatchDeps): Watched {
  const { id } = initial
  let container = initial
  let link: ContainerLink | undefined
  let probing: AbortController | undefined
  const closing = new AbortController()
  const answers: NameAnswers = createNameAnswers(names.viewOf(initial), hasNdots(initial, deps))

  const connect = async (): Promise<void> => {
    try {
      link = await linkContainer(deps.engine.paths, id, closing.signal)
      if (closing.signal.aborted) return link.close()
      link.serveNames(answer)
      await link.exit.catch(() => {})
    } catch {
      // No shim there: gone, or killed. What became of the container is in its files.
    }
    if (!closing.signal.aborted) deps.onEnd(id)
  }

  const answer = async (query: Buffer, overTcp: boolean): Promise<Uint8Array | undefined> => {
    await deps.freshNames()
    const verdict = answers.answer(query, overTcp)
    if (verdict.kind === 'answer') return verdict.message
    if (verdict.kind === 'drop') return undefined
    const mayLeave = container.endpoints.some((endpoint) => !deps.isInternal(endpoint.networkId))
    const own = container.spec.dns?.servers ?? []
    const servers = own.length > 0 ? own : deps.hostResolvConf().servers
    const found = mayLeave ? await deps.forwarder.forward(query, verdict.question, overTcp, servers) : undefined
    return found ?? encodeError(query, SERVFAIL)
  }

  const probe = (): void => {
    const plan = healthPlan(container.config.healthcheck)
    const wanted = plan !== undefined && container.state.status === 'running'
    if (!wanted) {
      probing?.abort()
      probing = undefined
    } else if (!probing) {
      const own = new AbortController()
      probing = own
      const target = {
        containers: deps.engine.containers,
        id,
        plan,
        startedAtMs: Date.parse(container.state.startedAt) || Date.now(),
        health: container.state.health,
        onStatus: (status: string) => emitHealth(deps.engine, container, status),
      }
      probeHealth(target, own.signal).catch((error: unknown) => {
        if (!own.signal.aborted) deps.onError(error)
      })
    }
  }

  connect().catch(deps.onError)
  probe()
  return {
    run: runOf(initial),
    update(next, index) {
      container = next
      answers.replace(index.viewOf(next))
      probe()
    },
    close() {
      closing.abort()
      probing?.abort()
      link?.close()
    },
  }
}

function hasNdots(container: Container, deps: WatchDeps): boolean {
  const ndots = ndotsOf(container.spec.dns?.options ?? []) ?? deps.hostResolvConf().ndots ?? 0
  return ndots > 0
}

function emitHealth(engine: Engine, container: Container, status: string): void {
  engine.events.emit({
    type: 'container',
    action: `health_status: ${status}`,
    actorId: container.id,
    attributes: { ...container.labels, image: container.config.image, name: container.name },
  })
}
