import { TcomposeError } from '../../base/errors.ts'
import { randomId } from '../../base/id.ts'
import { withLock } from '../../platform/lock.ts'
import {
  chooseSubnet4,
  contains4,
  formatIpv4,
  formatIpv6,
  formatPrefix4,
  formatPrefix6,
  hostRoutes4,
  overlaps4,
  type Prefix4,
  parseIpv4,
  parseIpv6,
  parsePrefix4,
  parsePrefix6,
  uniqueLocalPrefix,
} from './addresses.ts'
import type { NetworkContext } from './deps.ts'
import { poolOf } from './ipam.ts'
import { ensureTable, makeBridge, openForeignChains, unsupportedDriver } from './kernel.ts'
import { allNetworks, bridgeName, findNetwork } from './records.ts'
import { networkCommands } from './ruleset.ts'
import type { Network, NetworkSpec } from './types.ts'

/** Driver options that have an effect here. */
const KNOWN_OPTIONS = [
  'com.docker.network.bridge.name',
  'com.docker.network.bridge.enable_icc',
  'com.docker.network.bridge.enable_ip_masquerade',
  'com.docker.network.driver.mtu',
]

/**
 * Records a bridge network and makes its bridge and rules.
 * @throws TcomposeError CONFLICT for a name in use, an overlapping subnet, or no free one; UNSUPPORTED by name
 */
export async function createNetwork(context: NetworkContext, spec: NetworkSpec): Promise<Network> {
  check(spec)
  if (findNetwork(context.db, spec.name) && !/^[0-9a-f]+$/.test(spec.name)) {
    throw new TcomposeError('CONFLICT', `network with name ${spec.name} already exists`)
  }
  const id = randomId()
  // Other state roots of this host choose at the same moment: each sees the other's bridge once it may choose itself.
  const network = await withLock('host', 'address-pools', async () => {
    const made = plan(context, id, spec)
    context.db.run('INSERT INTO networks (id, name, record) VALUES (?, ?, ?)', id, spec.name, JSON.stringify(made))
    await makeBridge(context, made)
    return made
  })
  await ensureTable(context)
  await context.nft.apply(networkCommands(context.table, network, 'add'))
  await openForeignChains(context, network.bridge)
  context.events.emit({
    type: 'network',
    action: 'create',
    actorId: id,
    attributes: { name: spec.name, type: network.driver },
  })
  return network
}

function check(spec: NetworkSpec): void {
  const driver = spec.driver ?? 'bridge'
  if (driver !== 'bridge') throw unsupportedDriver(driver)
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(spec.name))
    throw new TcomposeError('INVALID', `invalid network name ${JSON.stringify(spec.name)}`)
  for (const option of Object.keys(spec.driverOpts ?? {})) {
    if (!KNOWN_OPTIONS.includes(option)) {
      throw new TcomposeError('UNSUPPORTED', `network ${spec.name}: driver option ${option} is not supported`, {
        hint: `supported are ${KNOWN_OPTIONS.join(', ')}`,
      })
    }
  }
  const ipam = spec.ipam?.driver
  if (ipam !== undefined && ipam !== 'default')
    throw new TcomposeError('UNSUPPORTED', `network ${spec.name}: ipam driver ${JSON.stringify(ipam)} is not supported`)
}

function plan(context: NetworkContext, id: string, spec: NetworkSpec): Network {
  const pools = spec.ipam?.pools ?? []
  const others = allNetworks(context.db)
    .filter((network) => network.ipv4Subnet !== '')
    .map((network) => parsePrefix4(network.ipv4Subnet))
  const pool4 = poolOf(pools, 4)
  const pool6 = poolOf(pools, 6)
  const has4 = spec.enableIpv4 !== false
  const has6 = spec.enableIpv6 === true
  const subnet = !has4
    ? undefined
    : pool4?.subnet === undefined
      ? chooseSubnet4([...hostRoutes4(), ...others])
      : given(pool4.subnet, [...hostRoutes4(), ...others])
  const prefix6 = !has6 ? undefined : pool6?.subnet === undefined ? uniqueLocalPrefix(id) : parsePrefix6(pool6.subnet)
  const gateway = subnet === undefined ? '' : (pool4?.gateway ?? formatIpv4(subnet.base + 1))
  if (subnet !== undefined && !contains4(subnet, parseIpv4(gateway))) {
    throw new TcomposeError(
      'INVALID',
      `network ${spec.name}: gateway ${gateway} is outside the subnet ${formatPrefix4(subnet)}`,
    )
  }
  if (pool6?.gateway !== undefined) parseIpv6(pool6.gateway)
  return {
    id,
    name: spec.name,
    createdAt: new Date().toISOString(),
    driver: 'bridge',
    spec,
    labels: spec.labels ?? {},
    bridge: bridgeName(id, spec.driverOpts?.['com.docker.network.bridge.name']),
    ipv4Subnet: subnet === undefined ? '' : formatPrefix4(subnet),
    ipv4Gateway: gateway,
    ipv6Subnet: prefix6 === undefined ? '' : formatPrefix6(prefix6),
    ipv6Gateway: prefix6 === undefined ? '' : (pool6?.gateway ?? formatIpv6(prefix6.base + 1n)),
  }
}

function given(subnet: string, taken: readonly Prefix4[]): Prefix4 {
  const prefix = parsePrefix4(subnet)
  const other = taken.find((one) => overlaps4(prefix, one))
  if (other) {
    throw new TcomposeError(
      'CONFLICT',
      `invalid pool request: Pool overlaps with other one on this address space: ${subnet} and ${formatPrefix4(other)}`,
      {
        hint: 'choose another subnet, or remove the network or route that has this one',
      },
    )
  }
  return prefix
}
