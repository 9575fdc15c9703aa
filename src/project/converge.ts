import { TcomposeError } from '../base/errors.ts'
import { randomId } from '../base/id.ts'
import { checkSupport } from '../compose/support.ts'
import type { Project, Service } from '../compose/types.ts'
import type { Engine } from '../engine/engine.ts'
import { ensureImages, type ImageOptions, presentImages } from './images.ts'
import type { Separator } from './names.ts'
import { type Observed, observe } from './observed.ts'
import type { Plan } from './plan.ts'
import { divergedVolumes } from './plan-volumes.ts'
import { upProviders } from './providers.ts'
import { reconcile } from './reconcile.ts'
import type { RecreatePolicy } from './recreate-reason.ts'

export interface ConvergeOptions extends ImageOptions {
  /** Services named on the command line; absent or empty: all. */
  readonly services?: readonly string[] | undefined
  readonly recreate?: RecreatePolicy
  readonly recreateDependencies?: RecreatePolicy
  readonly inheritVolumes?: boolean
  readonly orphans?: 'warn' | 'remove' | 'ignore'
  readonly timeoutSeconds?: number | undefined
  readonly start?: boolean
  readonly wait?: boolean
  /** See `ReconcileOptions.oneOff`. */
  readonly oneOff?: string | undefined
  readonly separator?: Separator
  /** Nothing is pulled, built or provided; the plan is made from what is there. */
  readonly dryRun?: boolean
  /** Asked for each volume that no longer matches the file: true loses its data. */
  readonly confirmVolume?: (name: string) => Promise<boolean>
}

export interface Convergence {
  /** With what providers have added. */
  readonly project: Project
  readonly observed: Observed
  readonly plan: Plan
}

/** Everything up to the plan: images, providers, observation, decision. */
export async function planConvergence(
  project: Project,
  engine: Engine,
  options: ConvergeOptions,
): Promise<Convergence> {
  assertSupported(project, options)
  const images = options.dryRun ? await presentImages(project, engine) : await ensureImages(project, engine, options)
  const provided = options.dryRun ? project : await upProviders(project, options)
  const observed = await observe(engine, project.name, provided, images)
  const recreateVolumes = new Set<string>()
  for (const name of divergedVolumes(provided, observed)) {
    if (await options.confirmVolume?.(name)) recreateVolumes.add(name)
  }
  const plan = reconcile(provided, observed, {
    services: options.services,
    recreate: options.recreate ?? 'diverged',
    recreateDependencies: options.recreateDependencies ?? 'diverged',
    inheritVolumes: options.inheritVolumes ?? true,
    orphans: options.orphans ?? 'warn',
    timeoutSeconds: options.timeoutSeconds,
    start: options.start ?? true,
    wait: options.wait ?? false,
    oneOff: options.oneOff,
    separator: options.separator ?? '-',
    recreateVolumes,
    newId: randomId,
  })
  return { project: provided, observed, plan }
}

/** What a file asks for and is not done here is said before anything is changed. @throws TcomposeError UNSUPPORTED */
function assertSupported(project: Project, options: ConvergeOptions): void {
  const { warnings, errors } = checkSupport(project)
  for (const warning of warnings) options.onWarning?.(warning.message)
  const [first, ...others] = errors
  if (!first) return
  throw new TcomposeError(first.code, first.message, {
    at: first.at,
    hint: first.hint,
    others: [...first.others, ...others],
  })
}

/** The project with other numbers of containers. @throws TcomposeError NOT_FOUND for a service it does not have */
export function withScale(project: Project, scale: ReadonlyMap<string, number>): Project {
  const services: Record<string, Service> = { ...project.services }
  for (const [name, count] of scale) {
    const service = services[name]
    if (!service) throw new TcomposeError('NOT_FOUND', `no such service: ${name}`)
    const deploy = service.deploy ? { deploy: { ...service.deploy, replicas: count } } : {}
    services[name] = { ...service, ...deploy, scale: count }
  }
  return { ...project, services }
}
