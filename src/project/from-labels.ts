import type { Project, Service, ServiceDependency } from '../compose/types.ts'
import type { Container } from '../engine/containers/types.ts'
import { LABEL, parseDependsOnLabel } from './labels.ts'
import { isOneOff, serviceOf } from './names.ts'

/**
 * What can be told of a project from its containers alone: services, their numbers, what they depend on. Enough for
 * the verbs that work on what is there (`start`, `stop`, `restart` with `-p` and no file).
 */
export function projectFromContainers(
  name: string,
  containers: readonly Container[],
  services: readonly string[],
): Project {
  const groups = Map.groupBy(
    containers.filter((one) => !isOneOff(one) && one.labels[LABEL.hook] === undefined),
    serviceOf,
  )
  const wanted = withDependencies(groups, services)
  const found: Record<string, Service> = {}
  for (const [service, members] of groups) {
    if (!wanted.has(service)) continue
    const first = members[0] as Container
    const dependencies: Record<string, ServiceDependency> = {}
    for (const one of parseDependsOnLabel(first.labels[LABEL.dependsOn])) {
      dependencies[one.service] = {
        condition: one.condition as ServiceDependency['condition'],
        required: true,
        restart: one.restart,
      }
    }
    found[service] = { image: first.spec.image, scale: members.length, depends_on: dependencies }
  }
  const any = containers[0]
  return {
    name,
    working_dir: any?.labels[LABEL.workingDir] ?? '',
    compose_files: (any?.labels[LABEL.configFiles] ?? '').split(',').filter((one) => one !== ''),
    env_files: [],
    environment: {},
    profiles: [],
    services: found,
    disabled_services: {},
    networks: {},
    volumes: {},
    configs: {},
    secrets: {},
    models: {},
  }
}

function withDependencies(
  groups: ReadonlyMap<string, readonly Container[]>,
  services: readonly string[],
): ReadonlySet<string> {
  if (services.length === 0) return new Set(groups.keys())
  const wanted = new Set<string>()
  const visit = (service: string): void => {
    if (wanted.has(service)) return
    wanted.add(service)
    for (const one of parseDependsOnLabel(groups.get(service)?.[0]?.labels[LABEL.dependsOn])) visit(one.service)
  }
  for (const one of services) visit(one)
  return wanted
}
