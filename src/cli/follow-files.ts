import { messageOf, TcomposeError } from '../base/errors.ts'
import { silent } from '../base/progress.ts'
import type { Project } from '../compose/types.ts'
import { planConvergence } from '../project/converge.ts'
import { executePlan } from '../project/execute.ts'
import { buildServices } from '../project/images.ts'
import { observe, projectContainers } from '../project/observed.ts'
import { planRestart } from '../project/plan-lifecycle.ts'
import { containersOf } from '../project/plan-state.ts'
import { isAlive } from '../project/plan-stop.ts'
import { rulesOf } from '../watch/project-rules.ts'
import { type WatchEvent, watchProject } from '../watch/watch.ts'
import { createBuildOutput } from './build-output.ts'
import type { Session } from './session.ts'

export interface WatchFlags {
  /** Remove images that a rebuild has left without a name. */
  readonly prune: boolean
  readonly quiet: boolean
}

/** Follows files until `signal` aborts. */
export async function followFiles(
  session: Session,
  services: readonly string[],
  flags: WatchFlags,
  signal: AbortSignal,
): Promise<void> {
  const project = await session.project({ services })
  const engine = await session.engine()
  const rules = await rulesOf(project, services)
  if (rules.length === 0) {
    throw new TcomposeError('INVALID', 'none of the selected services is configured for watch', {
      hint: "consider setting a 'develop' section",
    })
  }
  await watchProject({
    engine,
    rules,
    signal,
    containersOf: async (service) => {
      const containers = containersOf(
        { ...NOTHING_OBSERVED, containers: await projectContainers(engine, project.name) },
        service,
      )
      return containers.filter(isAlive).map((one) => one.id)
    },
    rebuild: (names, stale) => rebuild(session, project, names, flags, AbortSignal.any([signal, stale])),
    restart: async (names, stale) => {
      const observed = await observe(engine, project.name)
      const plan = planRestart(project, observed, { services: names, noDeps: true })
      await executePlan(plan, engine, { emit: silent, signal: AbortSignal.any([signal, stale]) })
    },
    report: (event) => report(session, event),
  })
}

const NOTHING_OBSERVED = { networks: new Map(), volumes: new Map(), images: new Map(), imageVolumes: new Map() }

/** Builds services and makes their containers anew, these alone. */
async function rebuild(
  session: Session,
  project: Project,
  names: readonly string[],
  flags: WatchFlags,
  signal: AbortSignal,
): Promise<void> {
  const engine = await session.engine()
  const output = createBuildOutput({ stream: process.stdout, quiet: flags.quiet })
  const options = {
    emit: silent,
    signal,
    onBuildEvent: (service: string, event: Parameters<typeof output.show>[1]) => output.show(service, event),
    onWarning: (message: string) => session.warn(message),
  }
  await buildServices(project, engine, names, options)
  const only: Project = {
    ...project,
    services: Object.fromEntries(Object.entries(project.services).filter(([name]) => names.includes(name))),
  }
  const { plan } = await planConvergence(only, engine, { ...options, services: names, orphans: 'ignore' })
  await executePlan(plan, engine, { ...options, beforeStart: () => session.ensureAgent() })
  if (flags.prune) await engine.images.prune()
}

function report(session: Session, event: WatchEvent): void {
  const text = describe(event)
  if (text !== undefined) process.stderr.write(`${text}\n`)
  if (event.kind !== 'executed') return
  if (event.output) process.stdout.write(event.output)
  if (event.exitCode !== 0) {
    session.warn(`"${event.command}" in service "${event.service}" exited with ${event.exitCode}`)
  }
}

function describe(event: WatchEvent): string | undefined {
  switch (event.kind) {
    case 'watching':
      return 'Watch enabled'
    case 'synced': {
      const count = event.copied + event.removed
      if (count === 0) return undefined
      return event.initial
        ? `Initial sync of service "${event.service}": ${event.copied} files`
        : `Syncing service "${event.service}" after ${count} changes were detected`
    }
    case 'rebuilding':
      return `Rebuilding service(s) ${JSON.stringify(event.services)} after changes were detected...`
    case 'rebuilt':
      return `service(s) ${JSON.stringify(event.services)} successfully built`
    case 'restarted':
      return `service(s) ${JSON.stringify(event.services)} restarted`
    case 'restarting':
    case 'executed':
      return undefined
    case 'failed':
      return `service "${event.service}": ${messageOf(event.error)}`
    case 'polling':
      return `${event.path} is polled: changes take up to a second to be seen`
  }
}
