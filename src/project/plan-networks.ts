import { TcomposeError } from '../base/errors.ts'
import { networkHash } from '../compose/hash.ts'
import type { NetworkConfig } from '../compose/types.ts'
import type { Network, NetworkSpec } from '../engine/networks/types.ts'
import { COMPOSE_VERSION, LABEL } from './labels.ts'
import { serviceOf } from './names.ts'
import type { PlanState } from './plan-state.ts'
import { isAlive, planStop, resourceOf, targetOf } from './plan-stop.ts'

/** Creates what is missing and makes anew what has changed, with the containers taken off before and put back after. */
export function planNetworks(state: PlanState): void {
  for (const [key, config] of Object.entries(state.project.networks ?? {}).sort(byKey)) {
    const name = config?.name ?? key
    const found = state.observed.networks.get(name)
    if (config?.external) {
      if (!found && !BUILT_IN.has(name)) {
        throw new TcomposeError('NOT_FOUND', `network ${name} declared as external, but could not be found`, {
          hint: `tcompose network create ${name}`,
        })
      }
      continue
    }
    const hash = networkHash(state.project, key)
    if (!found) {
      state.networkReady.set(key, [
        createNetwork(state, key, toNetworkSpec(state, key, config ?? {}, hash), 'not found', []),
      ])
      continue
    }
    const owner = found.labels[LABEL.project]
    if (owner !== state.project.name || found.labels[LABEL.network] !== key) {
      state.builder.warn(foreignNetwork(name, owner, state.project.name))
      continue
    }
    const had = found.labels[LABEL.configHash]
    if (had === undefined || had === hash) continue
    renewNetwork(state, key, found, toNetworkSpec(state, key, config ?? {}, hash))
  }
}

const BUILT_IN: ReadonlySet<string> = new Set(['host', 'none', 'bridge'])

function byKey(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : 1
}

function foreignNetwork(name: string, owner: string | undefined, project: string): string {
  const why =
    owner === undefined || owner === project
      ? 'was not created by compose'
      : `was not created for project ${JSON.stringify(project)}`
  return `a network with name ${name} exists but ${why}.\nSet \`external: true\` to use an existing network`
}

function createNetwork(
  state: PlanState,
  key: string,
  spec: NetworkSpec,
  cause: string,
  after: readonly number[],
): number {
  return state.builder.add({
    resource: `network:${key}`,
    action: { kind: 'createNetwork', spec },
    cause,
    dependsOn: after,
    display: { id: `Network ${spec.name}`, working: 'Creating', done: 'Created' },
  })
}

function renewNetwork(state: PlanState, key: string, network: Network, spec: NetworkSpec): void {
  const { builder, observed, project, options } = state
  const cause = 'config hash changed'
  const attached = observed.containers.filter((one) => one.endpoints.some((end) => end.networkId === network.id))
  const off: number[] = []
  for (const container of attached) {
    const known = state.stopped.get(container.id)
    const stop =
      known ??
      planStop(builder, container, `network ${key} changed`, {
        timeoutSeconds: options.timeoutSeconds,
        service: project.services[serviceOf(container)],
      })
    off.push(
      builder.add({
        resource: resourceOf(container),
        action: {
          kind: 'disconnectContainer',
          container: targetOf(container),
          network: { id: network.id, name: network.name },
        },
        cause: `network ${key} changed`,
        dependsOn: [stop],
        display: { id: `Container ${container.name}` },
      }),
    )
    if (stop !== undefined) state.stopped.set(container.id, off.at(-1) as number)
  }
  const remove = builder.add({
    resource: `network:${key}`,
    action: { kind: 'removeNetwork', network: { id: network.id, name: network.name }, inUse: 'fail' },
    cause,
    dependsOn: off,
    display: { id: `Network ${network.name}`, working: 'Removing' },
  })
  const create = createNetwork(state, key, spec, cause, [remove])
  state.networkReady.set(key, [create])
  state.renewedNetworks.add(network.name)
  for (const container of attached) {
    const list = state.detached.get(container.id) ?? []
    list.push({ container, network: network.name, after: create })
    state.detached.set(container.id, list)
  }
}

/** Puts a container that stays back on the networks that were made anew. @returns the last operation */
export function reattach(state: PlanState, containerId: string): number | undefined {
  let last: number | undefined
  for (const one of state.detached.get(containerId) ?? []) {
    const endpoint = one.container.endpoints.find((end) => end.networkName === one.network)?.spec ?? {
      network: one.network,
    }
    last = state.builder.add({
      resource: resourceOf(one.container),
      action: {
        kind: 'connectContainer',
        container: targetOf(one.container),
        endpoint: { ...endpoint, network: one.network },
      },
      cause: `network ${one.network} renewed`,
      dependsOn: [one.after, last],
      display: { id: `Container ${one.container.name}` },
    })
  }
  state.detached.delete(containerId)
  return last
}

/** Containers on a renewed network whose services this plan does not cover: put back, and running as before. */
export function reattachRemaining(state: PlanState): void {
  for (const [id, list] of [...state.detached]) {
    const container = list[0]?.container
    const attached = reattach(state, id)
    if (!container || !isAlive(container)) continue
    state.builder.add({
      resource: resourceOf(container),
      action: { kind: 'startContainer', container: targetOf(container) },
      cause: 'was running',
      dependsOn: [attached],
      display: { id: `Container ${container.name}`, working: 'Starting', done: 'Started' },
    })
  }
}

function toNetworkSpec(state: PlanState, key: string, config: NetworkConfig, hash: string): NetworkSpec {
  const labels: Record<string, string> = {}
  for (const [name, value] of Object.entries(config.labels ?? {})) labels[name] = String(value ?? '')
  labels[LABEL.network] = key
  labels[LABEL.project] = state.project.name
  labels[LABEL.version] = COMPOSE_VERSION
  labels[LABEL.configHash] = hash
  const { ipam } = config
  return {
    name: config.name ?? key,
    driver: toDriver(config.driver, key),
    driverOpts: Object.fromEntries(
      Object.entries(config.driver_opts ?? {}).map(([name, value]) => [name, String(value)]),
    ),
    internal: config.internal ?? false,
    attachable: config.attachable ?? false,
    ...(config.enable_ipv4 === undefined ? {} : { enableIpv4: config.enable_ipv4 }),
    enableIpv6: config.enable_ipv6 ?? false,
    ...(ipam
      ? {
          ipam: {
            ...(ipam.driver ? { driver: ipam.driver } : {}),
            ...(ipam.options ? { options: ipam.options as Readonly<Record<string, string>> } : {}),
            pools: (ipam.config ?? []).map((pool) => ({
              ...(pool.subnet ? { subnet: pool.subnet } : {}),
              ...(pool.ip_range ? { ipRange: pool.ip_range } : {}),
              ...(pool.gateway ? { gateway: pool.gateway } : {}),
              ...(pool.aux_addresses ? { auxAddresses: pool.aux_addresses } : {}),
            })),
          },
        }
      : {}),
    labels,
  }
}

function toDriver(driver: string | undefined, key: string): NonNullable<NetworkSpec['driver']> {
  switch (driver) {
    case undefined:
    case '':
    case 'default':
      return 'bridge'
    case 'bridge':
    case 'macvlan':
    case 'ipvlan':
    case 'host':
    case 'none':
      return driver
    default:
      throw new TcomposeError('UNSUPPORTED', `network ${key}: driver ${JSON.stringify(driver)} is not supported`, {
        hint: 'use bridge, macvlan or ipvlan',
      })
  }
}
