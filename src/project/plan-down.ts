import type { Project } from '../compose/types.ts'
import type { Container } from '../engine/containers/types.ts'
import { dependenciesOf, sortByDependencies } from './graph.ts'
import { LABEL, parseDependsOnLabel } from './labels.ts'
import { isOneOff, serviceOf } from './names.ts'
import type { Observed } from './observed.ts'
import { createPlanBuilder, type Plan, type PlanBuilder } from './plan.ts'
import { orphansOf } from './plan-orphans.ts'
import { planRemove, planStop } from './plan-stop.ts'

export interface DownOptions {
  /** Absent or empty: everything, networks too. */
  readonly services?: readonly string[] | undefined
  readonly removeOrphans?: boolean
  /** Named volumes of the file and anonymous ones of the containers. */
  readonly volumes?: boolean
  readonly timeoutSeconds?: number | undefined
  /** References to remove, `--rmi`. */
  readonly images?: readonly string[]
}

/**
 * Takes a project down: containers from dependents to dependencies, then networks, volumes, images. Without a project
 * (no file at hand) everything comes from labels.
 */
export function planDown(name: string, project: Project | undefined, observed: Observed, options: DownOptions): Plan {
  const builder = createPlanBuilder(name)
  const containers = containersToRemove(project, observed, options)
  const gone = planContainers(builder, project, containers, options)
  const providers = planProviders(builder, name, project, options, gone)
  const after = [...gone, ...providers]
  planNetworks(builder, name, project, observed, after, options)
  if (options.volumes) planVolumes(builder, name, project, observed, after)
  for (const reference of options.images ?? []) {
    builder.add({
      resource: `image:${reference}`,
      action: { kind: 'removeImage', reference },
      cause: 'down --rmi',
      dependsOn: after,
      display: { id: `Image ${reference}`, working: 'Removing' },
    })
  }
  return builder.build()
}

function containersToRemove(
  project: Project | undefined,
  observed: Observed,
  options: DownOptions,
): readonly Container[] {
  const asked = options.services ?? []
  const orphans = new Set(project ? orphansOf(project, observed).map((one) => one.id) : [])
  return observed.containers.filter((one) => {
    if (options.removeOrphans && (isOneOff(one) || orphans.has(one.id))) return true
    if (isOneOff(one) && !isHook(one)) return false
    if (asked.length > 0) return asked.includes(serviceOf(one))
    return !orphans.has(one.id)
  })
}

/** Init containers that a killed `up` left behind belong to nobody else. */
function isHook(container: Container): boolean {
  return container.labels[LABEL.hook] !== undefined
}

/** What a service depends on, by the file where it has it, else by the container's label. */
export function serviceDependencies(
  project: Project | undefined,
  containers: readonly Container[],
): (service: string) => readonly string[] {
  const fromLabels = new Map<string, readonly string[]>()
  for (const one of containers) {
    if (fromLabels.has(serviceOf(one))) continue
    fromLabels.set(
      serviceOf(one),
      parseDependsOnLabel(one.labels[LABEL.dependsOn]).map((dependency) => dependency.service),
    )
  }
  return (name) => {
    const service = project?.services[name]
    return project && service
      ? dependenciesOf(project, service).map((one) => one.service)
      : (fromLabels.get(name) ?? [])
  }
}

/** Services from dependents to dependencies. A cycle can come from labels of different times: then by name. */
export function stopOrder(
  names: readonly string[],
  dependencies: (name: string) => readonly string[],
): readonly string[] {
  try {
    return [...sortByDependencies(names, dependencies)].reverse()
  } catch {
    return [...names].sort()
  }
}

function planContainers(
  builder: PlanBuilder,
  project: Project | undefined,
  containers: readonly Container[],
  options: DownOptions,
): readonly number[] {
  const stops = planStops(builder, project, containers, 'down', options.timeoutSeconds)
  return containers.map((one) =>
    planRemove(builder, one, 'down', { after: [stops.get(one.id)], volumes: options.volumes ?? false, force: true }),
  )
}

/** Stops in reverse dependency order, replicas together. @returns by container, the operation after which it is stopped */
export function planStops(
  builder: PlanBuilder,
  project: Project | undefined,
  containers: readonly Container[],
  cause: string,
  timeoutSeconds: number | undefined,
): ReadonlyMap<string, number> {
  const services = [...new Set(containers.map(serviceOf))]
  const dependencies = serviceDependencies(project, containers)
  const stops = new Map<string, number>()
  const byService = new Map<string, number[]>()
  for (const name of stopOrder(services, dependencies)) {
    const dependents = services.filter((one) => dependencies(one).includes(name))
    const after = dependents.flatMap((one) => byService.get(one) ?? [])
    const own: number[] = []
    for (const container of containers.filter((one) => serviceOf(one) === name)) {
      const stop = planStop(builder, container, cause, { timeoutSeconds, after, service: project?.services[name] })
      if (stop === undefined) continue
      stops.set(container.id, stop)
      own.push(stop)
    }
    // A service without anything to stop must not break the chain between its neighbours.
    byService.set(name, own.length > 0 ? own : after)
  }
  return stops
}

function planProviders(
  builder: PlanBuilder,
  name: string,
  project: Project | undefined,
  options: DownOptions,
  after: readonly number[],
): readonly number[] {
  const asked = options.services ?? []
  return Object.entries(project?.services ?? {}).flatMap(([service, config]) => {
    if (!config.provider || (asked.length > 0 && !asked.includes(service))) return []
    return [
      builder.add({
        resource: `service:${service}`,
        action: {
          kind: 'runProvider',
          project: name,
          service,
          command: 'down',
          type: config.provider.type,
          options: providerOptions(config.provider.options),
        },
        cause: 'down',
        dependsOn: after,
        display: { id: service, working: 'Removing', done: 'Removed' },
      }),
    ]
  })
}

/** Options in the order of the file; a list gives its option several times. */
export function providerOptions(
  options: Readonly<Record<string, unknown>> | undefined,
): readonly (readonly [string, string])[] {
  return Object.entries(options ?? {}).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one): readonly [string, string] => [name, String(one)]),
  )
}

function planNetworks(
  builder: PlanBuilder,
  name: string,
  project: Project | undefined,
  observed: Observed,
  after: readonly number[],
  options: DownOptions,
): void {
  const wanted = Object.entries(project?.networks ?? {}).flatMap(([key, config]) =>
    config?.external ? [] : [config?.name ?? key],
  )
  for (const network of observed.networks.values()) {
    if (network.labels[LABEL.project] !== name) continue
    // Networks of other files of the same project are left to them, as long as a file is at hand.
    if (project && !wanted.includes(network.name) && !options.removeOrphans) continue
    builder.add({
      resource: `network:${network.labels[LABEL.network] ?? network.name}`,
      action: { kind: 'removeNetwork', network: { id: network.id, name: network.name }, inUse: 'warn' },
      cause: 'down',
      dependsOn: after,
      display: { id: `Network ${network.name}`, working: 'Removing' },
    })
  }
}

function planVolumes(
  builder: PlanBuilder,
  name: string,
  project: Project | undefined,
  observed: Observed,
  after: readonly number[],
): void {
  const wanted = Object.entries(project?.volumes ?? {}).flatMap(([key, config]) =>
    config?.external ? [] : [config?.name ?? key],
  )
  for (const volume of observed.volumes.values()) {
    if (project ? !wanted.includes(volume.name) : volume.labels[LABEL.project] !== name) continue
    builder.add({
      resource: `volume:${volume.labels[LABEL.volume] ?? volume.name}`,
      action: { kind: 'removeVolume', name: volume.name, inUse: 'warn' },
      cause: 'down -v',
      dependsOn: after,
      display: { id: `Volume ${volume.name}`, working: 'Removing' },
    })
  }
}
