import { TcomposeError } from '../../base/errors.ts'
import { randomId } from '../../base/id.ts'
import type { EndpointSpec } from '../containers/spec.ts'
import type { ContainerEndpoint } from '../containers/types.ts'
import type { Database } from '../state/database.ts'
import {
  chooseAddress4,
  contains4,
  contains6,
  formatIpv4,
  formatIpv6,
  type Prefix4,
  parseIpv4,
  parseIpv6,
  parsePrefix4,
  parsePrefix6,
} from './addresses.ts'
import type { IpamPool, Network } from './types.ts'

/** Pools of one family: a pool is IPv6 if its subnet holds a colon. */
export function poolOf(pools: readonly IpamPool[], family: 4 | 6): IpamPool | undefined {
  return pools.find((pool) => pool.subnet?.includes(':') === (family === 6))
}

/**
 * Chooses addresses for a container on a network and records them in one transaction.
 * @throws TcomposeError CONFLICT for an address in use, INVALID for one outside the subnet
 */
export function allocateEndpoint(
  db: Database,
  network: Network,
  containerId: string,
  spec: EndpointSpec,
  names: readonly string[],
): ContainerEndpoint {
  return db.transaction(() => {
    const rows = db.all('SELECT container_id, ipv4, ipv6 FROM endpoints WHERE network_id = ?', network.id)
    if (rows.some((row) => row.container_id === containerId)) {
      throw new TcomposeError(
        'CONFLICT',
        `endpoint of container ${containerId.slice(0, 12)} already exists in network ${network.name}`,
      )
    }
    const pools = network.spec.ipam?.pools ?? []
    const ipv4 =
      network.ipv4Subnet === ''
        ? undefined
        : address4(network, poolOf(pools, 4), spec, new Set(rows.map((row) => row.ipv4 as string)))
    const ipv6 =
      network.ipv6Subnet === ''
        ? undefined
        : address6(network, spec, new Set(rows.map((row) => row.ipv6 as string)), ipv4)
    if (spec.ipv4Address && ipv4 === undefined)
      throw new TcomposeError('INVALID', `network ${network.name} has no IPv4 subnet for ${spec.ipv4Address}`)
    if (spec.ipv6Address && ipv6 === undefined) {
      throw new TcomposeError('INVALID', `network ${network.name} has no IPv6 subnet for ${spec.ipv6Address}`, {
        hint: 'set enable_ipv6 and an IPv6 subnet on the network',
      })
    }
    const endpoint: ContainerEndpoint = {
      networkId: network.id,
      networkName: network.name,
      endpointId: randomId(),
      ipv4: ipv4 === undefined ? '' : formatIpv4(ipv4),
      ipv4PrefixLength: ipv4 === undefined ? 0 : parsePrefix4(network.ipv4Subnet).length,
      ipv4Gateway: network.spec.internal ? '' : network.ipv4Gateway,
      ipv6: ipv6 === undefined ? '' : formatIpv6(ipv6),
      ipv6PrefixLength: ipv6 === undefined ? 0 : parsePrefix6(network.ipv6Subnet).length,
      ipv6Gateway: network.spec.internal ? '' : network.ipv6Gateway,
      macAddress: spec.macAddress?.toLowerCase() ?? macOf(ipv4),
      dnsNames: [...new Set([...names, ...(spec.aliases ?? [])])],
      spec,
    }
    db.run(
      'INSERT INTO endpoints (network_id, container_id, ipv4, ipv6, mac, record) VALUES (?, ?, ?, ?, ?, ?)',
      network.id,
      containerId,
      endpoint.ipv4 || null,
      endpoint.ipv6 || null,
      endpoint.macAddress,
      JSON.stringify(endpoint),
    )
    return endpoint
  })
}

function address4(
  network: Network,
  pool: IpamPool | undefined,
  spec: EndpointSpec,
  taken: ReadonlySet<string>,
): number {
  const subnet = parsePrefix4(network.ipv4Subnet)
  if (spec.ipv4Address) {
    const wanted = parseIpv4(spec.ipv4Address)
    if (!contains4(subnet, wanted)) {
      throw new TcomposeError(
        'INVALID',
        `invalid address ${spec.ipv4Address}: it does not belong to any of this network's subnets (${network.ipv4Subnet})`,
      )
    }
    if (taken.has(spec.ipv4Address) || spec.ipv4Address === network.ipv4Gateway)
      throw new TcomposeError('CONFLICT', `Address already in use: ${spec.ipv4Address}`)
    return wanted
  }
  const range: Prefix4 = pool?.ipRange === undefined ? subnet : parsePrefix4(pool.ipRange)
  const reserved = [network.ipv4Gateway, ...Object.values(pool?.auxAddresses ?? {}), ...taken]
    .filter((text) => text)
    .map(parseIpv4)
  return chooseAddress4(subnet, range, new Set(reserved))
}

function address6(network: Network, spec: EndpointSpec, taken: ReadonlySet<string>, ipv4: number | undefined): bigint {
  const subnet = parsePrefix6(network.ipv6Subnet)
  if (spec.ipv6Address) {
    const wanted = parseIpv6(spec.ipv6Address)
    if (!contains6(subnet, wanted))
      throw new TcomposeError('INVALID', `invalid address ${spec.ipv6Address}: it is outside ${network.ipv6Subnet}`)
    if (taken.has(formatIpv6(wanted)))
      throw new TcomposeError('CONFLICT', `Address already in use: ${spec.ipv6Address}`)
    return wanted
  }
  for (let offset = ipv4 === undefined ? 2n : BigInt(ipv4 % 2 ** 16); ; offset++) {
    const candidate = subnet.base + offset
    const text = formatIpv6(candidate)
    if (text !== network.ipv6Gateway && !taken.has(text)) return candidate
  }
}

/** Docker's: 02:42 and the address, so that a new container with the address of an old one has its MAC too. */
function macOf(ipv4: number | undefined): string {
  const value = ipv4 ?? Math.floor(Math.random() * 2 ** 32)
  return [
    '02',
    '42',
    ...[24, 16, 8, 0].map((shift) => (Math.floor(value / 2 ** shift) % 256).toString(16).padStart(2, '0')),
  ].join(':')
}
