import { networkInterfaces } from 'node:os'
import { TcomposeError } from '../../base/errors.ts'
import { randomId } from '../../base/id.ts'
import { withLock } from '../../platform/lock.ts'
import { interfaceNames } from '../../platform/routes.ts'
import type { EndpointSpec } from '../containers/spec.ts'
import type { ContainerEndpoint } from '../containers/types.ts'
import { attach, detach, release } from './attach.ts'
import {
  createContext,
  elementsOf,
  HOST_LOCK,
  hasBridge,
  type NetworkContext,
  type NetworksDeps,
  optionsOf,
  portEndpoint,
} from './context.ts'
import { createNetwork, ensureDefaultNetwork, ensurePredefined } from './create-network.ts'
import { doomLinks } from './doomed-links.ts'
import { closeForeignFirewalls } from './foreign-firewall.ts'
import { chooseAddresses, macAddressFor } from './ipam.ts'
import { choosePorts } from './ports.ts'
import { reconcileNetworks } from './reconcile.ts'
import { DEFAULT_NETWORK, PREDEFINED } from './records.ts'
import type { Network, Networks } from './types.ts'

const ENDPOINT_OPTIONS = ['com.docker.network.endpoint.ifname']

/** The networks of one state root. Nothing is made on the host before the first network is. */
export function createNetworks(deps: NetworksDeps): Networks {
  const context = createContext(deps)
  const { store } = context
  ensurePredefined(context)

  const get = (ref: string): Network => {
    const network = store.resolve(ref)
    if (!network) throw new TcomposeError('NOT_FOUND', `network ${ref} not found`)
    return network
  }

  return {
    create: (spec) => createNetwork(context, spec),
    get: async (ref) => get(ref),
    find: async (ref) => store.resolve(ref),
    async list(filter = {}) {
      return store
        .all()
        .filter(
          (network) =>
            (filter.labels ?? []).every((label) => hasLabel(network.labels, label)) &&
            (filter.names === undefined || filter.names.some((name) => network.name.includes(name))),
        )
    },
    remove: (ref) => removeNetwork(context, get(ref)),
    containersOf: async (networkId) => store.usersOf(networkId).map((user) => user.containerId),
    allocate: (containerId, spec, names) => allocate(context, { containerId, network: get(spec.network), spec, names }),
    async release(containerId, networkId) {
      await release(context, containerId, networkId)
      await dropUnusedDefault(context)
    },
    async choosePorts(containerId, ports) {
      const endpoint = portEndpoint(store, store.endpointsOf(containerId))
      const network = endpoint && store.byId(endpoint.networkId)
      // As in Docker: on internal networks alone nothing is published.
      const chosen = await choosePorts(
        store,
        containerId,
        network ? ports : [],
        network ? optionsOf(network).hostBinding : '',
      )
      return chosen.map(({ containerId: _, ...port }) => port)
    },
    attach: (request) => attach(context, request),
    detach: (containerId) => detach(context, containerId),
    reconcile: () => reconcileNetworks(context),
    hostGateway: async (containerId) => hostGateway(context, containerId),
  }
}

/** `key` or `key=value` */
function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const at = wanted.indexOf('=')
  if (at < 0) return labels[wanted] !== undefined
  return labels[wanted.slice(0, at)] === wanted.slice(at + 1)
}

interface Allocation {
  readonly containerId: string
  readonly network: Network
  readonly spec: EndpointSpec
  readonly names: readonly string[]
}

async function allocate(context: NetworkContext, request: Allocation): Promise<ContainerEndpoint> {
  const { store } = context
  const { containerId, spec, names } = request
  checkEndpoint(request.network, spec)
  const isDefault = request.network.name === DEFAULT_NETWORK
  const insert = (network: Network): ContainerEndpoint =>
    store.transaction(() => {
      if (!store.byId(network.id)) throw new TcomposeError('NOT_FOUND', `network ${network.name} not found`)
      const users = store.usersOf(network.id)
      if (users.some((user) => user.containerId === containerId)) {
        throw new TcomposeError('CONFLICT', `the container is already on network ${network.name}`)
      }
      const { ipv4, ipv6 } = chooseAddresses(network, spec, users)
      const endpoint: ContainerEndpoint = {
        networkId: network.id,
        networkName: network.name,
        endpointId: randomId(),
        ipv4,
        ipv4PrefixLength: prefixLength(network.ipv4Subnet),
        ipv4Gateway: network.ipv4Gateway,
        ipv6,
        ipv6PrefixLength: prefixLength(network.ipv6Subnet),
        ipv6Gateway: network.ipv6Gateway,
        // ipvlan interfaces have their parent's.
        macAddress: network.driver === 'ipvlan' ? '' : macAddressFor(spec.macAddress, ipv4),
        dnsNames: isDefault ? [] : [...new Set([...names, ...(spec.aliases ?? [])])],
        spec,
      }
      store.insertEndpoint(containerId, endpoint)
      return endpoint
    })
  if (!isDefault || interfaceNames().includes(request.network.bridge)) return insert(request.network)
  return insert(await ensureDefaultNetwork(context, request.network.id))
}

/** @throws TcomposeError INVALID, UNSUPPORTED */
function checkEndpoint(network: Network, spec: EndpointSpec): void {
  if (network.driver === 'host' || network.driver === 'none') {
    throw new TcomposeError('INVALID', `network ${network.name} cannot be joined beside others: use it as network mode`)
  }
  if (network.name === DEFAULT_NETWORK && (spec.aliases ?? []).length > 0) {
    throw new TcomposeError('INVALID', 'network-scoped alias is supported only for containers in user defined networks')
  }
  const name = spec.interfaceName
  if (name !== undefined && !/^[^\s/:]{1,15}$/.test(name)) {
    throw new TcomposeError('INVALID', `network ${network.name}: interface name ${JSON.stringify(name)} is not valid`)
  }
  for (const option of Object.keys(spec.driverOpts ?? {})) {
    if (ENDPOINT_OPTIONS.includes(option)) continue
    throw new TcomposeError('UNSUPPORTED', `driver option "${option}" of an endpoint on network ${network.name}`)
  }
}

function prefixLength(subnet: string): number {
  return subnet === '' ? 0 : Number(subnet.split('/')[1])
}

async function removeNetwork(context: NetworkContext, network: Network): Promise<void> {
  const { store } = context
  if (PREDEFINED.includes(network.name)) {
    throw new TcomposeError('DENIED', `${network.name} is a pre-defined network and cannot be removed`)
  }
  await withLock(HOST_LOCK.scope, HOST_LOCK.name, async () => {
    store.transaction(() => {
      const users = store.usersOf(network.id)
      if (users.length > 0) {
        throw new TcomposeError(
          'CONFLICT',
          `error while removing network: network ${network.name} id ${network.id} has active endpoints`,
          { hint: `containers on it: ${users.map((user) => user.containerId.slice(0, 12)).join(' ')}` },
        )
      }
      store.delete(network.id)
    })
    await dropLink(context, network)
  })
  context.events.emit({
    type: 'network',
    action: 'destroy',
    actorId: network.id,
    attributes: { name: network.name, type: network.driver },
  })
}

/** Bridge and rules of a network that has gone; with the last one the whole table. The caller holds the host lock. */
async function dropLink(context: NetworkContext, network: Network): Promise<void> {
  if (network.bridge === '') return
  const foreign = network.driver === 'bridge' ? closeForeignFirewalls(network.bridge) : undefined
  await Promise.all([doomLinks([network.bridge]), dropRules(context, network), foreign])
}

async function dropRules(context: NetworkContext, network: Network): Promise<void> {
  const { store, firewall } = context
  if (store.all().some((other) => hasBridge(store, other))) await firewall.remove(elementsOf(network))
  else await firewall.drop()
}

/** The default network's bridge goes with its last container. */
async function dropUnusedDefault(context: NetworkContext): Promise<void> {
  const { store } = context
  const network = store.byName(DEFAULT_NETWORK)
  if (!network || hasBridge(store, network) || !interfaceNames().includes(network.bridge)) return
  await withLock(HOST_LOCK.scope, HOST_LOCK.name, async () => {
    if (hasBridge(store, network)) return
    await dropLink(context, network)
  })
}

/** An address of the host that the container can reach for as long as it is on its networks. */
function hostGateway({ store }: NetworkContext, containerId: string | undefined): string {
  const endpoint = containerId === undefined ? undefined : portEndpoint(store, store.endpointsOf(containerId))
  if (endpoint && endpoint.ipv4Gateway !== '') return endpoint.ipv4Gateway
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  return addresses.find((one) => one.family === 'IPv4' && !one.internal)?.address ?? '127.0.0.1'
}
