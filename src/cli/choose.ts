import { TcomposeError } from '../base/errors.ts'
import type { Project } from '../compose/types.ts'
import type { Container } from '../engine/containers/types.ts'
import { LABEL } from '../project/labels.ts'
import { isOneOff, numberOf, serviceOf } from '../project/names.ts'
import { projectContainers } from '../project/observed.ts'
import type { Session } from './session.ts'
import { nearest } from './suggest.ts'

export interface Scope {
  readonly name: string
  readonly project: Project | undefined
  readonly containers: readonly Container[]
}

/** The containers of the project at hand. Fails for services that neither the file nor a container knows. */
export async function openScope(session: Session, services: readonly string[] = []): Promise<Scope> {
  const { name, project } = await session.projectOrName({ services, keepOthers: true })
  const engine = await session.engine()
  const containers = await projectContainers(engine, name)
  checkServices(services, project, containers)
  return { name, project, containers }
}

/** @throws TcomposeError NOT_FOUND `no such service: x` */
export function checkServices(
  services: readonly string[],
  project: Project | undefined,
  containers: readonly Container[],
): void {
  const known = project
    ? [...Object.keys(project.services), ...Object.keys(project.disabled_services ?? {})]
    : containers.map(serviceOf)
  for (const name of services) {
    if (known.includes(name) || containers.some((one) => serviceOf(one) === name)) continue
    const near = nearest(name, known)
    throw new TcomposeError('NOT_FOUND', `no such service: ${name}`, near ? { hint: `did you mean ${near}?` } : {})
  }
}

/** Containers of services; a one-off is among them only when asked for. Sorted by service and number. */
export function pick(
  containers: readonly Container[],
  options: { readonly services?: readonly string[]; readonly oneOffs?: boolean } = {},
): readonly Container[] {
  const services = options.services ?? []
  return containers
    .filter((one) => one.labels[LABEL.hook] === undefined)
    .filter((one) => (options.oneOffs ?? false) || !isOneOff(one))
    .filter((one) => services.length === 0 || services.includes(serviceOf(one)))
    .sort(
      (a, b) => compare(serviceOf(a), serviceOf(b)) || numberOf(a) - numberOf(b) || compare(a.createdAt, b.createdAt),
    )
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/**
 * The container of a service that `--index` names; without it the first that runs (its own ones before one-offs).
 * @throws TcomposeError NOT_FOUND
 */
export function pickOne(
  scope: Scope,
  service: string,
  index: number | undefined,
  options: { readonly running?: boolean } = {},
): Container {
  const own = pick(scope.containers, { services: [service] })
  if (index !== undefined && index > 0) {
    const found = own.find((one) => numberOf(one) === index)
    if (!found)
      throw new TcomposeError('NOT_FOUND', `service ${JSON.stringify(service)} has no container with index ${index}`)
    return found
  }
  const all = [...own, ...pick(scope.containers, { services: [service], oneOffs: true }).filter(isOneOff)]
  const found = options.running
    ? all.find((one) => one.state.status === 'running' || one.state.status === 'paused')
    : all[0]
  if (found) return found
  throw new TcomposeError(
    'NOT_FOUND',
    options.running
      ? `service ${JSON.stringify(service)} is not running`
      : `no container found for service ${JSON.stringify(service)}`,
    { hint: `tcompose up -d ${service} starts it` },
  )
}
