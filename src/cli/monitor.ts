import { sleep } from '../base/concurrency.ts'
import type { Container } from '../engine/containers/types.ts'
import type { Engine } from '../engine/engine.ts'
import type { PlannedContainer } from '../project/plan.ts'
import type { LogPrinter } from '../ui/logs.ts'
import type { ContainerRun } from './run-report.ts'
import { writeLines } from './write-lines.ts'

export interface ContainerExit {
  readonly service: string
  readonly name: string
  readonly exitCode: number
}

export interface MonitorOptions {
  readonly printer: LogPrinter
  /** Whether the service's output is shown. */
  readonly shows: (service: string) => boolean
  /** Whether we stay until the service has ended; dependencies that are only shown do not keep us. */
  readonly keepsUp: (service: string) => boolean
  /** Output before this time is not ours to show. */
  readonly startedAt: string
  readonly timestamps: boolean
  readonly onFirstOutput: () => void
}

/** Follows containers: prints what they write and how they end. */
export interface Monitor {
  add(container: PlannedContainer): void
  /** Settles when every container that is shown has ended for good. */
  ended(): Promise<void>
  firstExit(matches: (exit: ContainerExit) => boolean): Promise<ContainerExit>
  /** Of a service's container that ended first. */
  exitCodeOf(service: string): number | undefined
  /** From here on ends are ours: containers are being stopped. */
  stopping(): void
  /** What became of each container, in the order in which they were started. */
  runs(): readonly ContainerRun[]
}

export function createMonitor(engine: Engine, options: MonitorOptions): Monitor {
  const followed = new Map<string, Promise<void>>()
  const shown = new Set<string>()
  const exits: ContainerExit[] = []
  const started = new Map<string, { readonly planned: PlannedContainer; readonly atMs: number }>()
  const ended = new Map<string, { readonly exitCode: number; readonly atMs: number; readonly stopped: boolean }>()
  let isStopping = false
  const listeners = new Set<(exit: ContainerExit) => void>()

  const report = (exit: ContainerExit): void => {
    exits.push(exit)
    for (const listener of listeners) listener(exit)
  }

  const follow = async (planned: PlannedContainer): Promise<void> => {
    const visible = options.shows(planned.service)
    let since = options.startedAt
    for (;;) {
      if (visible) since = await printOutput(planned, since)
      const status = await engine.containers.wait(planned.id).catch(() => undefined)
      const container = await engine.containers.find(planned.id)
      if (!status || !container) return
      const again = willRestart(container)
      if (visible) {
        options.onFirstOutput()
        options.printer.status(planned.shortName, `exited with code ${status.exitCode}${again ? ' (restarting)' : ''}`)
      }
      ended.set(planned.id, { exitCode: status.exitCode, atMs: performance.now(), stopped: isStopping })
      report({ service: planned.service, name: planned.name, exitCode: status.exitCode })
      if (!again || !(await runsAgain(container))) return
    }
  }

  const printOutput = async (planned: PlannedContainer, since: string): Promise<string> => {
    let last = since
    try {
      for await (const lines of engine.containers.logBatches(planned.id, { follow: true, since })) {
        last = nextNanosecond(lines.at(-1)?.time) ?? last
        options.onFirstOutput()
        await writeLines(options.printer, planned.shortName, lines, options.timestamps)
      }
    } catch (error) {
      if (await engine.containers.find(planned.id)) throw error
    }
    return last
  }

  /** A restart policy brings it back, sooner or later; somebody may stop or remove it meanwhile. */
  const runsAgain = async (before: Container): Promise<boolean> => {
    for (let pauseMs = 20; ; pauseMs = Math.min(pauseMs * 1.5, 250)) {
      await sleep(pauseMs)
      const now = await engine.containers.find(before.id)
      if (!now || now.state.status === 'dead' || now.state.stoppedByUser) return false
      if (now.state.startedAt !== before.state.startedAt) return true
      if (now.state.status === 'exited' && !willRestart(now)) return false
    }
  }

  return {
    add(planned) {
      if (followed.has(planned.id)) return
      if (options.shows(planned.service) && options.keepsUp(planned.service)) shown.add(planned.id)
      started.set(planned.id, { planned, atMs: performance.now() })
      const work = follow(planned)
      work.catch(() => {})
      followed.set(planned.id, work)
    },
    async ended() {
      const ids = shown.size > 0 ? [...shown] : [...followed.keys()]
      await Promise.all(ids.map((id) => followed.get(id)))
    },
    firstExit: (matches) =>
      new Promise((resolve) => {
        const found = exits.find(matches)
        if (found) return resolve(found)
        const listener = (exit: ContainerExit): void => {
          if (!matches(exit)) return
          listeners.delete(listener)
          resolve(exit)
        }
        listeners.add(listener)
      }),
    stopping() {
      isStopping = true
    },
    runs: () =>
      [...started.values()].map(({ planned, atMs }) => {
        const end = ended.get(planned.id)
        return {
          service: planned.service,
          name: planned.name,
          seconds: ((end?.atMs ?? performance.now()) - atMs) / 1000,
          exitCode: end?.exitCode,
          stopped: end?.stopped ?? false,
        }
      }),
    exitCodeOf: (service) => exits.find((one) => one.service === service)?.exitCode,
  }
}

/** The moment after: a log asked for from there on does not give that line again. */
export function nextNanosecond(time: string | undefined): string | undefined {
  const match = time === undefined ? undefined : /^(.*?)(?:\.(\d{1,9}))?Z$/.exec(time)
  if (!match) return time
  const nanos = Number((match[2] ?? '').padEnd(9, '0'))
  return nanos === 999_999_999 ? time : `${match[1]}.${String(nanos + 1).padStart(9, '0')}Z`
}

/** Whether the restart policy starts a container again that has just ended. */
export function willRestart(container: Container): boolean {
  const policy = container.spec.restart
  const { state } = container
  if (state.status === 'restarting' || state.status === 'running') return true
  if (!policy || state.stoppedByUser) return false
  switch (policy.name) {
    case 'no':
      return false
    case 'always':
    case 'unless-stopped':
      return true
    case 'on-failure': {
      const most = policy.maximumRetryCount ?? 0
      return state.exitCode !== 0 && (most === 0 || state.restartCount < most)
    }
  }
}
