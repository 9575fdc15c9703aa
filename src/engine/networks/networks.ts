import { TcomposeError } from '../../base/errors.ts'
import { createIp } from '../../platform/ip-process.ts'
import { createNft } from '../../platform/nft-process.ts'
import type { ContainerEndpoint } from '../containers/types.ts'
import { createNetwork } from './create.ts'
import type { NetworkContext, NetworkDeps } from './deps.ts'
import { allocateEndpoint } from './ipam.ts'
import {
  bridgeExists,
  closeForeignChains,
  deleteBridges,
  ensureTable,
  makeBridge,
  mtuOf,
  openForeignChains,
  publishedRules,
  wholeRuleset,
} from './kernel.ts'
import { chooseHostPorts, releaseHostPorts } from './ports.ts'
import { allNetworks, BRIDGE_NAME, endpointsOf, findNetwork, HOST_NETWORK, NONE_NETWORK, notFound } from './records.ts'
import { networkCommands, publishCommands } from './ruleset.ts'
import type { AttachRequest, ContainerInterface, Network, Networks } from './types.ts'

/** The networks of a state root: bridges of the host, one nft table, and the addresses on them. */
export function createNetworks(deps: NetworkDeps): Networks {
  const context: NetworkContext = { ...deps, ip: createIp(), nft: createNft(), table: deps.paths.instance }
  const { db } = deps
  let tableChecked: Promise<void> | undefined
  const withTable = (): Promise<void> => {
    tableChecked ??= ensureTable(context)
    return tableChecked
  }
  const get = async (ref: string): Promise<Network> => {
    const found = findNetwork(db, ref)
    if (found) return found
    if (ref === BRIDGE_NAME) return await defaultBridge(context)
    throw notFound(ref)
  }
  return {
    create: (spec) => createNetwork(context, spec),
    get,
    find: async (ref) => findNetwork(db, ref),
    async list(filter) {
      return [...allNetworks(db), HOST_NETWORK, NONE_NETWORK]
        .filter((network) =>
          filter?.names === undefined ? true : filter.names.some((name) => network.name.includes(name)),
        )
        .filter((network) => (filter?.labels ?? []).every((label) => hasLabel(network.labels, label)))
        .sort((a, b) => (a.name < b.name ? -1 : 1))
    },
    async remove(ref) {
      const network = await get(ref)
      if (network.bridge === '')
        throw new TcomposeError('INVALID', `${network.name} is a pre-defined network and cannot be removed`)
      await removeNetwork(context, network)
      tableChecked = undefined
    },
    containersOf: async (networkId) => endpointsOf(db, networkId).map(({ containerId }) => containerId),
    async allocate(containerId, spec, names) {
      const network = await get(spec.network)
      if (network.bridge === '')
        throw new TcomposeError('INVALID', `container cannot be connected to network ${network.name}`)
      return allocateEndpoint(db, network, containerId, spec, network.name === BRIDGE_NAME ? [] : names)
    },
    async release(containerId, networkId) {
      const rows = db.all('SELECT network_id, record FROM endpoints WHERE container_id = ?', containerId)
      const going = rows.filter((row) => networkId === undefined || row.network_id === networkId)
      if (networkId !== undefined) {
        const links = going.map(
          (row) => `link delete ${hostLink(JSON.parse(row.record as string) as ContainerEndpoint)}`,
        )
        if (links.length > 0) await context.ip.batch(links, /Cannot find device/)
      }
      for (const row of going)
        db.run('DELETE FROM endpoints WHERE container_id = ? AND network_id = ?', containerId, row.network_id as string)
    },
    choosePorts: (containerId, ports) => chooseHostPorts(db, containerId, ports),
    async attach(request) {
      const networks = await Promise.all(request.endpoints.map((endpoint) => get(endpoint.networkId)))
      for (const network of networks) if (!bridgeExists(network)) await remake(context, network)
      const interfaces = await addLinks(context, request, networks)
      const published = networks.findIndex((network) => !network.spec.internal)
      const address = published < 0 ? undefined : request.endpoints[published]
      if (address && request.ports.length > 0) {
        await withTable()
        await context.nft.apply(
          request.ports.flatMap((port) =>
            publishCommands(context.table, { ...port, ipv4: address.ipv4, ipv6: address.ipv6 }, 'add'),
          ),
        )
      }
      return interfaces
    },
    async detach(containerId) {
      const rules = publishedRules(context, containerId)
      for (const rule of rules) await deleteQuietly(context, publishCommands(context.table, rule, 'delete'))
      releaseHostPorts(db, containerId)
    },
    async reconcile() {
      await reconcileKernel(context)
    },
    hostGateway: async () => (await get(BRIDGE_NAME)).ipv4Gateway,
  }
}

async function defaultBridge(context: NetworkContext): Promise<Network> {
  try {
    return await createNetwork(context, { name: BRIDGE_NAME })
  } catch (error) {
    // Another process was quicker.
    const found = findNetwork(context.db, BRIDGE_NAME)
    if (found) return found
    throw error
  }
}

async function removeNetwork(context: NetworkContext, network: Network): Promise<void> {
  const last = context.db.transaction(() => {
    const used = endpointsOf(context.db, network.id)
    if (used.length > 0) {
      const list = used.map(({ containerId }) => containerId.slice(0, 12)).join(', ')
      throw new TcomposeError(
        'CONFLICT',
        `error while removing network: network ${network.name} id ${network.id} has active endpoints (${list})`,
        {
          hint: 'remove those containers first, or disconnect them',
        },
      )
    }
    context.db.run('DELETE FROM networks WHERE id = ?', network.id)
    return allNetworks(context.db).length === 0
  })
  if (last) await deleteQuietly(context, [`delete table inet ${context.table}`])
  else await deleteQuietly(context, networkCommands(context.table, network, 'delete'))
  await closeForeignChains(context, network.bridge)
  deleteBridges([network.bridge])
  context.events.emit({
    type: 'network',
    action: 'destroy',
    actorId: network.id,
    attributes: { name: network.name, type: network.driver },
  })
}

/** Elements that are gone already (a reboot, a flushed table) are what was wanted. */
async function deleteQuietly(context: NetworkContext, commands: readonly string[]): Promise<void> {
  try {
    await context.nft.apply(commands)
  } catch {
    for (const command of commands) await context.nft.query(command).catch(() => undefined)
  }
}

/** Host end of an endpoint's pair: found again from the endpoint alone. At most 15 characters. */
function hostLink(endpoint: ContainerEndpoint): string {
  return `veth${endpoint.endpointId.slice(0, 11)}`
}

async function addLinks(
  context: NetworkContext,
  request: AttachRequest,
  networks: readonly Network[],
): Promise<readonly ContainerInterface[]> {
  const commands: string[] = []
  const interfaces = request.endpoints.map((endpoint, index): ContainerInterface => {
    const network = networks[index] as Network
    const host = hostLink(endpoint)
    const temporaryName = `tcp${endpoint.endpointId.slice(0, 11)}`
    const mtu = mtuOf(network)
    commands.push(
      `link add ${host} mtu ${mtu} type veth peer name ${temporaryName} mtu ${mtu} address ${endpoint.macAddress} netns ${request.pid}`,
      `link set ${host} master ${network.bridge} up`,
      `link set ${host} type bridge_slave hairpin on`,
    )
    return {
      temporaryName,
      name: endpoint.spec.interfaceName ?? '',
      macAddress: endpoint.macAddress,
      addresses: [
        ...(endpoint.ipv4 === '' ? [] : [`${endpoint.ipv4}/${endpoint.ipv4PrefixLength}`]),
        ...(endpoint.ipv6 === '' ? [] : [`${endpoint.ipv6}/${endpoint.ipv6PrefixLength}`]),
      ],
      gateways: [],
      mtu,
    }
  })
  if (commands.length > 0) await context.ip.batch(commands)
  const gateways = gatewaysOf(request.endpoints)
  const taken = new Set(interfaces.map((one) => one.name))
  let next = 0
  return interfaces.map((one, index) => {
    let { name } = one
    if (name === '') {
      while (taken.has(`eth${next}`)) next++
      name = `eth${next++}`
    }
    return { ...one, name, gateways: gateways.get(index) ?? [] }
  })
}

/** The default routes: of the endpoint with the highest gateway priority that has one, the first of equals; per family. */
function gatewaysOf(endpoints: readonly ContainerEndpoint[]): ReadonlyMap<number, readonly string[]> {
  const chosen = new Map<number, string[]>()
  for (const family of ['ipv4Gateway', 'ipv6Gateway'] as const) {
    const order = endpoints
      .map((endpoint, index) => ({ index, gateway: endpoint[family], priority: endpoint.spec.gwPriority ?? 0 }))
      .filter((one) => one.gateway !== '')
      .sort((a, b) => b.priority - a.priority || a.index - b.index)
    const best = order[0]
    if (best) chosen.set(best.index, [...(chosen.get(best.index) ?? []), best.gateway])
  }
  return chosen
}

async function remake(context: NetworkContext, network: Network): Promise<void> {
  await makeBridge(context, network)
  await ensureTable(context)
  await context.nft.apply(networkCommands(context.table, network, 'add'))
  await openForeignChains(context, network.bridge)
}

async function reconcileKernel(context: NetworkContext): Promise<void> {
  const networks = allNetworks(context.db).filter((network) => network.bridge !== '')
  // Ports of containers that no longer run were released by whoever recorded their end.
  if (networks.length === 0) {
    if ((await context.nft.query(`list table inet ${context.table}`)) !== undefined)
      await deleteQuietly(context, [`delete table inet ${context.table}`])
    return
  }
  for (const network of networks) if (!bridgeExists(network)) await remake(context, network)
  // The whole table anew, in one transaction: whatever was stale is gone, and established connections stay.
  const t = `inet ${context.table}`
  await context.nft.apply([`add table ${t}`, `delete table ${t}`, ...wholeRuleset(context)])
}

function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const at = wanted.indexOf('=')
  return at < 0 ? wanted in labels : labels[wanted.slice(0, at)] === wanted.slice(at + 1)
}
