import { readFileSync } from 'node:fs'
import { TcomposeError } from '../base/errors.ts'
import { serviceHash } from '../compose/hash.ts'
import type { Service } from '../compose/types.ts'
import type { Container } from '../engine/containers/types.ts'
import { containerLabels, imageVolumeDigest } from './container-labels.ts'
import { toVolumesFrom } from './container-mounts.ts'
import { sharedServices } from './container-network.ts'
import { type SpecContext, toContainerSpec } from './container-spec.ts'
import { dependentsOf } from './graph.ts'
import { LABEL } from './labels.ts'
import { containerName, imageName, nextNumber, numberOf, shortName } from './names.ts'
import type { Target } from './plan.ts'
import { reattach } from './plan-networks.ts'
import { containersOf, expectedScale, type PlanState, type Replica } from './plan-state.ts'
import { isAlive, planRemove, planStop, resourceOf, targetOf } from './plan-stop.ts'
import { type ReasonInput, type RecreatePolicy, recreateReason } from './recreate-reason.ts'

/** Creates, recreates and removes containers of one service, whose dependencies have been planned before. */
export function planService(state: PlanState, name: string): void {
  const service = state.project.services[name] as Service
  const actual = containersOf(state.observed, name)
  const scale = expectedScale(state, name)
  if (service.container_name && scale > 1) {
    throw new TcomposeError(
      'INVALID',
      `service ${JSON.stringify(name)} uses the custom container name ${JSON.stringify(service.container_name)}: it cannot be scaled to ${scale}`,
      { hint: 'remove container_name, since each container needs a name of its own' },
    )
  }
  const hash = serviceHash(state.project, name)
  const reasons = new Map(actual.map((one) => [one.id, reasonFor(state, name, service, hash, one)]))
  const kept = keptFirst(actual, reasons)
  for (const container of kept.slice(scale)) {
    if (state.removed.has(container.id)) continue
    const stop = planStop(state.builder, container, 'scale down', {
      timeoutSeconds: state.options.timeoutSeconds,
      service,
    })
    planRemove(state.builder, container, 'scale down', { after: [stop] })
    state.detached.delete(container.id)
  }
  const replicas: Replica[] = []
  const stay = kept.slice(0, scale).sort((a, b) => numberOf(a) - numberOf(b))
  for (const container of stay) {
    const removed = state.removed.get(container.id)
    const reason = reasons.get(container.id)
    if (removed !== undefined) {
      replicas.push(create(state, name, service, hash, numberOf(container), 'volume recreated', [removed]))
    } else if (reason !== undefined) {
      replicas.push(recreate(state, name, service, hash, container, reason))
    } else {
      replicas.push(keep(state, container))
    }
  }
  let next = nextNumber(actual)
  for (let missing = scale - stay.length; missing > 0; missing--) {
    replicas.push(create(state, name, service, hash, next++, 'no container', []))
  }
  state.replicas.set(name, replicas)
  for (const { target, container } of replicas) {
    state.builder.expect({
      ...target,
      shortName: shortName({ name: target.name, labels: { [LABEL.project]: state.project.name } }),
      service: name,
      running: container?.state.status === 'running' && !state.stopped.has(container.id),
    })
  }
}

function reasonFor(
  state: PlanState,
  name: string,
  service: Service,
  hash: string,
  container: Container,
): string | undefined {
  const { options, project, observed } = state
  const named = options.services === undefined || options.services.length === 0 || options.services.includes(name)
  const policy: RecreatePolicy = (named ? options.recreate : options.recreateDependencies) ?? 'diverged'
  const input: ReasonInput = {
    project,
    service: name,
    config: service,
    hash,
    policy,
    observed,
    renewedNetworks: state.renewedNetworks,
    parents: parentsOf(state, service),
  }
  const reason = recreateReason(container, input)
  if (reason === undefined) return undefined
  return reason
}

function parentsOf(state: PlanState, service: Service): ReasonInput['parents'] {
  const volumes = new Set((service.volumes_from ?? []).map((text) => text.split(':')[0]))
  return [...new Set(sharedServices(service))].map((parent) => ({
    service: parent,
    purpose: volumes.has(parent) ? 'volume' : 'namespace',
    ids: idsOf(state, parent),
  }))
}

/** Ids of the containers a service will have; as observed when it is not planned here (`--no-deps`). */
function idsOf(state: PlanState, service: string): readonly string[] {
  const planned = state.replicas.get(service)
  if (planned) return planned.map((one) => one.target.id)
  return containersOf(state.observed, service).map((one) => one.id)
}

/** Those that may stay first: up-to-date ones by number, then the obsolete ones. What is beyond the scale goes. */
function keptFirst(
  containers: readonly Container[],
  reasons: ReadonlyMap<string, string | undefined>,
): readonly Container[] {
  return [...containers].sort((a, b) => {
    const obsolete = Number(reasons.get(a.id) !== undefined) - Number(reasons.get(b.id) !== undefined)
    return obsolete !== 0 ? obsolete : numberOf(a) - numberOf(b)
  })
}

function keep(state: PlanState, container: Container): Replica {
  const attached = reattach(state, container.id)
  if (attached !== undefined && state.stopped.has(container.id)) state.stopped.set(container.id, attached)
  return { target: targetOf(container), number: numberOf(container), container }
}

function create(
  state: PlanState,
  name: string,
  service: Service,
  hash: string,
  number: number,
  cause: string,
  after: readonly number[],
): Replica {
  const target: Target = {
    id: state.options.newId(),
    name: containerName(state.project.name, name, service, number, state.options.separator ?? '-'),
  }
  const made = state.builder.add({
    resource: `service:${name}:${number}`,
    action: createAction(state, name, service, hash, number, target, target.name, undefined),
    cause,
    dependsOn: [...after, ...readyFor(state, service)],
    display: { id: `Container ${target.name}`, working: 'Creating', done: 'Created' },
  })
  return { target, number, made }
}

/** The new one is made beside the old one, which then goes, and takes over its name. */
function recreate(
  state: PlanState,
  name: string,
  service: Service,
  hash: string,
  old: Container,
  cause: string,
): Replica {
  const { builder, options } = state
  const number = numberOf(old)
  const target: Target = {
    id: options.newId(),
    name: containerName(state.project.name, name, service, number, options.separator ?? '-'),
  }
  const resource = resourceOf(old)
  const display = { id: `Container ${target.name}` }
  const temporary = `${old.id.slice(0, 12)}_${target.name}`
  const dependents = stopDependents(state, name)
  const pending = state.detached.get(old.id)?.map((one) => one.after) ?? []
  state.detached.delete(old.id)
  const created = builder.add({
    resource,
    action: createAction(state, name, service, hash, number, target, temporary, old),
    cause,
    dependsOn: [...readyFor(state, service), ...dependents, ...pending],
    display: { ...display, working: 'Recreate' },
  })
  const stop = planStop(builder, old, cause, {
    timeoutSeconds: options.timeoutSeconds,
    service,
    after: [created],
    show: false,
  })
  const remove = planRemove(builder, old, cause, { after: [stop ?? created], show: false })
  const renamed = builder.add({
    resource,
    action: { kind: 'renameContainer', container: { id: target.id, name: temporary }, to: target.name },
    cause,
    dependsOn: [remove],
    display: { ...display, done: 'Recreated' },
  })
  return { target, number, made: renamed }
}

/** Running containers of services that want to be restarted with this one (`depends_on.restart`) are stopped first. */
function stopDependents(state: PlanState, name: string): readonly number[] {
  const stops: number[] = []
  for (const dependent of dependentsOf(state.project, name)) {
    if (!dependent.restart) continue
    for (const container of containersOf(state.observed, dependent.service)) {
      if (!isAlive(container)) continue
      let stop = state.stopped.get(container.id)
      if (stop === undefined) {
        stop = planStop(state.builder, container, `dependency ${name} recreated`, {
          timeoutSeconds: state.options.timeoutSeconds,
          service: state.project.services[dependent.service],
        })
        if (stop !== undefined) state.stopped.set(container.id, stop)
      }
      if (stop !== undefined) stops.push(stop)
    }
  }
  return stops
}

/** Operations that must be done before any container of the service can be made. */
function readyFor(state: PlanState, service: Service): readonly number[] {
  const networks = service.network_mode ? [] : Object.keys(service.networks ?? {})
  const volumes = (service.volumes ?? []).flatMap((one) => (one.type === 'volume' && one.source ? [one.source] : []))
  return [
    ...networks.flatMap((key) => state.networkReady.get(key) ?? []),
    ...volumes.flatMap((key) => state.volumeReady.get(key) ?? []),
    ...sharedServices(service).flatMap((parent) => state.replicas.get(parent)?.[0]?.made ?? []),
  ]
}

function createAction(
  state: PlanState,
  name: string,
  service: Service,
  hash: string,
  number: number,
  target: Target,
  firstName: string,
  old: Container | undefined,
) {
  const image = state.observed.images.get(name)
  const labels = containerLabels({
    project: state.project,
    service: name,
    config: service,
    hash,
    imageId: image?.id ?? '',
    imageVolumeDigest: imageVolumeDigest(service, state.observed),
    number,
    ...(old ? { replaces: old.name } : {}),
  })
  const context = specContext(
    state,
    name,
    target.name,
    image?.reference ?? imageName(state.project, name, service),
    labels,
    old,
  )
  const spec = toContainerSpec(service, context)
  return {
    kind: 'createContainer' as const,
    id: target.id,
    spec: { ...spec, name: firstName },
    volumesFrom: toVolumesFrom(service, context),
  }
}

/** What the mapping of a service's container needs from the plan so far. */
export function specContext(
  state: PlanState,
  service: string,
  name: string,
  image: string,
  labels: Readonly<Record<string, string>>,
  old: Container | undefined,
): SpecContext {
  return {
    project: state.project,
    service,
    name,
    image,
    labels,
    containerOf: (other, purpose) => {
      const id = idsOf(state, other)[0]
      if (id !== undefined) return id
      throw new TcomposeError('NOT_FOUND', `cannot share ${purpose} with service ${other}: container missing`, {
        hint: `start it with tcompose up ${other}, or leave out --no-deps`,
      })
    },
    linkedContainers: (other) =>
      state.replicas.get(other)?.map((one) => ({ name: one.target.name, number: one.number })) ??
      containersOf(state.observed, other).map((one) => ({ name: one.name, number: numberOf(one) })),
    inherited: old && state.options.inheritVolumes !== false ? anonymousVolumes(old, state, service) : new Map(),
    aliases: true,
    oneOff: false,
    readFile: state.options.readFile ?? ((path) => readFileSync(path, 'utf8')),
  }
}

/** Volumes of the old container for the targets that the image declares or the file leaves without a name. */
function anonymousVolumes(old: Container, state: PlanState, service: string): ReadonlyMap<string, string> {
  const config = state.project.services[service]
  const targets = new Set(state.observed.images.get(service)?.volumes ?? [])
  for (const volume of config?.volumes ?? []) {
    if (volume.type === 'volume' && !volume.source) targets.add(volume.target)
    else targets.delete(volume.target)
  }
  const found = new Map<string, string>()
  for (const mount of old.mounts) {
    if (mount.kind === 'volume' && mount.name !== undefined && targets.has(mount.target))
      found.set(mount.target, mount.name)
  }
  return found
}
