import { messageOf } from '../../base/errors.ts'
import { ip } from '../../platform/ip.ts'
import { interfaceNames } from '../../platform/routes.ts'
import type { ContainerEndpoint } from '../containers/types.ts'
import type { Events } from '../events/types.ts'
import type { Database } from '../state/database.ts'
import type { EnginePaths } from '../state/paths.ts'
import { createFirewall, type Firewall } from './firewall.ts'
import { type Element, networkElements, publicationElements } from './firewall-rules.ts'
import { openForeignFirewalls } from './foreign-firewall.ts'
import { createBridge, deleteLinks } from './links.ts'
import { type NetworkOptions, networkOptions } from './options.ts'
import { type AddressPool, parsePools } from './pools.ts'
import { primaryEndpoint } from './ports.ts'
import { createNetworkStore, DEFAULT_NETWORK, type NetworkStore } from './records.ts'
import type { AttachRequest, Network } from './types.ts'

export interface NetworksDeps {
  readonly db: Database
  readonly paths: EnginePaths
  readonly events: Events
  /** TCOMPOSE_ADDRESS_POOLS says where subnets are taken from; default: our process's. */
  readonly env?: NodeJS.ProcessEnv
}

/** What the network code shares. */
export interface NetworkContext {
  readonly instance: string
  readonly secret: string
  readonly store: NetworkStore
  readonly firewall: Firewall
  readonly events: Events
  readonly pools: () => readonly AddressPool[]
}

/** Everyone who adds or takes bridges and subnets on this host, of whatever state root, holds it meanwhile. */
export const HOST_LOCK = { scope: 'host', name: 'networks' } as const

export function createContext({ db, paths, events, env = process.env }: NetworksDeps): NetworkContext {
  const store = createNetworkStore(db)
  let pools: readonly AddressPool[] | undefined
  return {
    instance: paths.instance,
    secret: db.secret,
    store,
    events,
    firewall: createFirewall(paths.instance, () => recordedElements(store)),
    pools: () => {
      pools ??= parsePools(env.TCOMPOSE_ADDRESS_POOLS)
      return pools
    },
  }
}

/** Whether the host has, or must have, a link of its own for the network. */
export function hasBridge(store: NetworkStore, network: Network): boolean {
  if (network.bridge === '') return false
  // The default network's comes with its first container and goes with its last.
  return network.name !== DEFAULT_NETWORK || store.usersOf(network.id).length > 0
}

/** Elements of a network's own; none for those whose traffic does not pass the host. */
export function elementsOf(network: Network): readonly Element[] {
  if (network.driver !== 'bridge' || network.bridge === '') return []
  const { bridge, ipv4Subnet, ipv6Subnet } = network
  const internal = network.spec.internal ?? false
  return networkElements({ bridge, internal, ipv4Subnet, ipv6Subnet, options: networkOptions(network.spec) })
}

/** Where the published ports of a container end. */
export function portEndpoint(
  store: NetworkStore,
  endpoints: readonly ContainerEndpoint[],
): ContainerEndpoint | undefined {
  const bridged = endpoints.filter((endpoint) => store.byId(endpoint.networkId)?.driver === 'bridge')
  return primaryEndpoint(bridged, store.byId)
}

export function portElements(
  ports: AttachRequest['ports'],
  endpoint: ContainerEndpoint | undefined,
): readonly Element[] {
  if (!endpoint) return []
  const { ipv4, ipv6 } = endpoint
  return ports.flatMap(({ protocol, hostIp, hostPort, containerPort }) =>
    publicationElements({ protocol, hostIp, hostPort, containerPort, ipv4, ipv6 }),
  )
}

/** All elements there should be, by the records. */
function recordedElements(store: NetworkStore): readonly Element[] {
  const networks = store.all().filter((network) => hasBridge(store, network))
  const ports = Map.groupBy(store.ports(), (port) => port.containerId)
  return [
    ...networks.flatMap(elementsOf),
    ...[...ports].flatMap(([id, own]) => portElements(own, portEndpoint(store, store.endpointsOf(id)))),
  ]
}

/** Makes a network's link and rules if they are missing. The caller holds the host lock. */
export async function ensureBridge(context: NetworkContext, network: Network): Promise<void> {
  if (network.bridge === '') return
  const isThere = interfaceNames().includes(network.bridge)
  const link = isThere ? ip([`link set dev ${network.bridge} up`]) : makeLink(context, network)
  const rules = network.driver === 'bridge' ? openForeignFirewalls(network.bridge) : undefined
  await Promise.all([link, context.firewall.add(elementsOf(network)), rules])
}

/** Makes a network's link, which must not be there. */
export async function makeLink(context: NetworkContext, network: Network): Promise<void> {
  const make = () => createBridge(network, optionsOf(network), context.instance)
  try {
    await make()
  } catch (error) {
    // Somebody else has made a link of that name meanwhile: not ours to delete.
    if (messageOf(error).includes('File exists')) throw error
    // Half made: its name once was another link's.
    await deleteLinks([network.bridge])
    await make()
  }
}

export function optionsOf(network: Network): NetworkOptions {
  return networkOptions(network.spec)
}
