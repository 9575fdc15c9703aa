import { TcomposeError } from '../base/errors.ts'
import type { Project, Service } from '../compose/types.ts'
import { sharedServices } from './container-network.ts'

export interface Dependency {
  readonly service: string
  readonly condition: 'service_started' | 'service_healthy' | 'service_completed_successfully'
  readonly required: boolean
  readonly restart: boolean
}

/** What a service waits for, in the order of the names; only services that are in the project. */
export function dependenciesOf(project: Project, service: Service): readonly Dependency[] {
  return Object.entries(service.depends_on ?? {})
    .filter(([name]) => project.services[name] !== undefined)
    .map(([name, one]) => ({
      service: name,
      condition: (one.condition ?? 'service_started') as Dependency['condition'],
      required: one.required ?? true,
      restart: one.restart ?? false,
    }))
    .sort((a, b) => (a.service < b.service ? -1 : 1))
}

/** Services in an order in which each comes after those it depends on; by name where that leaves it open. */
export function startOrder(project: Project): readonly string[] {
  return sortByDependencies(Object.keys(project.services), (name) => {
    const service = project.services[name]
    if (!service) return []
    return [...dependenciesOf(project, service).map((one) => one.service), ...sharedServices(service)]
  })
}

/** Depth first, by name. @throws TcomposeError INVALID for a cycle */
export function sortByDependencies(
  names: readonly string[],
  dependencies: (name: string) => readonly string[],
): readonly string[] {
  const known = new Set(names)
  const done = new Set<string>()
  const path: string[] = []
  const order: string[] = []
  const visit = (name: string): void => {
    if (done.has(name) || !known.has(name)) return
    if (path.includes(name)) {
      throw new TcomposeError(
        'INVALID',
        `dependency cycle detected: ${[...path.slice(path.indexOf(name)), name].join(' -> ')}`,
      )
    }
    path.push(name)
    for (const one of [...dependencies(name)].sort()) visit(one)
    path.pop()
    done.add(name)
    order.push(name)
  }
  for (const name of [...names].sort()) visit(name)
  return order
}

/** Services that depend on `name`, with whether they ask to be restarted with it. */
export function dependentsOf(
  project: Project,
  name: string,
): readonly { readonly service: string; readonly restart: boolean }[] {
  return Object.entries(project.services)
    .filter(([, service]) => service.depends_on?.[name] !== undefined)
    .map(([service, one]) => ({ service, restart: one.depends_on?.[name]?.restart ?? false }))
    .sort((a, b) => (a.service < b.service ? -1 : 1))
}
