import { hash, randomBytes } from 'node:crypto'
import { TcomposeError } from '../../base/errors.ts'
import type { EndpointSpec } from '../containers/spec.ts'
import {
  type Address,
  contains,
  formatAddress,
  formatPrefix,
  overlaps,
  type Prefix,
  parsePrefix,
  requireAddress,
} from './address.ts'
import { firstFree, hostRange } from './pools.ts'
import type { IpamPool, Network, NetworkSpec } from './types.ts'

/** The pool of a family as it was asked for; `subnet` undefined: one is to be chosen. */
export interface FamilyRequest {
  readonly subnet: Prefix | undefined
  readonly gateway: Address | undefined
}

export interface IpamRequest {
  readonly v4: FamilyRequest | undefined
  readonly v6: FamilyRequest | undefined
}

/**
 * Checks the addresses a new network asks for. IPv6 pools of a network without `enable_ipv6` stay unused, as in Docker.
 * @throws TcomposeError INVALID, UNSUPPORTED
 */
export function readIpam(spec: NetworkSpec): IpamRequest {
  const driver = spec.ipam?.driver ?? 'default'
  if (driver !== 'default' && driver !== '') {
    throw new TcomposeError('UNSUPPORTED', `IPAM driver "${driver}" of network ${spec.name}`)
  }
  const [option] = Object.keys(spec.ipam?.options ?? {})
  if (option !== undefined) throw new TcomposeError('UNSUPPORTED', `IPAM option "${option}" of network ${spec.name}`)
  const pools = (spec.ipam?.pools ?? []).map((pool) => readPool(spec, pool))
  const of = (family: 4 | 6, enabled: boolean): FamilyRequest | undefined => {
    const own = pools.filter((pool) => pool.family === family)
    if (own.length > 1)
      throw new TcomposeError('UNSUPPORTED', `more than one IPv${family} subnet in network ${spec.name}`)
    return enabled ? { subnet: own[0]?.subnet, gateway: own[0]?.gateway } : undefined
  }
  const v4 = of(4, spec.enableIpv4 ?? true)
  const v6 = of(6, spec.enableIpv6 ?? false)
  if (!v4 && !v6) {
    throw new TcomposeError('INVALID', `network ${spec.name} must have IPv4 or IPv6 enabled`)
  }
  return { v4, v6 }
}

function readPool(spec: NetworkSpec, pool: IpamPool): FamilyRequest & { readonly family: 4 | 6 } {
  const what = `network ${spec.name}:`
  if (!pool.subnet) {
    if (pool.gateway || pool.ipRange || Object.keys(pool.auxAddresses ?? {}).length > 0) {
      throw new TcomposeError('INVALID', `${what} every ip-range or gateway must have a corresponding subnet`)
    }
    return { family: 4, subnet: undefined, gateway: undefined }
  }
  const subnet = parsePrefix(pool.subnet)
  if (!subnet) throw new TcomposeError('INVALID', `${what} invalid subnet ${pool.subnet}: invalid CIDR block notation`)
  if (pool.ipRange) {
    const range = parsePrefix(pool.ipRange)
    if (!range)
      throw new TcomposeError('INVALID', `${what} invalid ip-range ${pool.ipRange}: invalid CIDR block notation`)
    if (range.length < subnet.length || !overlaps(range, subnet)) {
      throw new TcomposeError('INVALID', `${what} ip-range ${pool.ipRange} is not in subnet ${pool.subnet}`)
    }
  }
  const gateway = pool.gateway ? requireAddress(pool.gateway, `${what} gateway`) : undefined
  if (gateway && !contains(subnet, gateway)) {
    throw new TcomposeError('INVALID', `${what} no matching subnet for gateway ${pool.gateway}`)
  }
  for (const [name, text] of Object.entries(pool.auxAddresses ?? {})) {
    if (!contains(subnet, requireAddress(text, `${what} auxiliary address ${name}`))) {
      throw new TcomposeError('INVALID', `${what} no matching subnet for auxiliary address ${text}`)
    }
  }
  return { family: subnet.family, subnet, gateway }
}

/** First host of the pool's range that is no auxiliary address. */
export function gatewayFor(spec: NetworkSpec, subnet: Prefix): Address {
  const { range, reserved } = rangeOf(spec, subnet)
  const { from, to } = hostRange(range)
  const value = firstFree(from, to, (candidate) => !reserved.has(candidate))
  if (value === undefined)
    throw new TcomposeError('INVALID', `network ${spec.name}: no address is left for the gateway`)
  return { family: subnet.family, value }
}

/** Where addresses of a family are given from, and which never are. */
function rangeOf(
  spec: NetworkSpec,
  subnet: Prefix,
): { readonly range: Prefix; readonly reserved: ReadonlySet<bigint> } {
  const pool = spec.ipam?.pools.find((one) => one.subnet && parsePrefix(one.subnet)?.family === subnet.family)
  const range = pool?.ipRange ? parsePrefix(pool.ipRange) : undefined
  const reserved = Object.values(pool?.auxAddresses ?? {}).map(
    (text) => requireAddress(text, 'auxiliary address').value,
  )
  return { range: range ?? subnet, reserved: new Set(reserved) }
}

/** A /64 for local use (RFC 4193), of the site whose secret it is. */
export function uniqueLocalSubnet(secret: string): Prefix {
  const site = BigInt(`0x${hash('sha256', `ula\n${secret}`, 'hex').slice(0, 10)}`)
  const net = BigInt(randomBytes(2).readUInt16BE())
  return { family: 6, first: ((0xfdn << 56n) | (site << 16n) | net) << 64n, length: 64 }
}

export interface ChosenAddresses {
  readonly ipv4: string
  readonly ipv6: string
}

/**
 * Addresses for an endpoint: those it asks for, else the lowest free ones.
 * @param used addresses that other endpoints of the network have
 * @throws TcomposeError INVALID, CONFLICT `Address already in use`, UNAVAILABLE when the network is full
 */
export function chooseAddresses(
  network: Network,
  spec: EndpointSpec,
  used: readonly ChosenAddresses[],
): ChosenAddresses {
  const family = (
    wanted: string | undefined,
    subnetText: string,
    gateway: string,
    taken: readonly string[],
  ): string => {
    if (subnetText === '') {
      if (!wanted) return ''
      throw new TcomposeError('INVALID', `network ${network.name} has no subnet for address ${wanted}`)
    }
    return chooseAddress(network, { wanted, subnetText, gateway, taken })
  }
  return {
    ipv4: family(
      spec.ipv4Address,
      network.ipv4Subnet,
      network.ipv4Gateway,
      used.map((one) => one.ipv4),
    ),
    ipv6: family(
      spec.ipv6Address,
      network.ipv6Subnet,
      network.ipv6Gateway,
      used.map((one) => one.ipv6),
    ),
  }
}

interface Choice {
  readonly wanted: string | undefined
  readonly subnetText: string
  readonly gateway: string
  readonly taken: readonly string[]
}

function chooseAddress(network: Network, { wanted, subnetText, gateway, taken }: Choice): string {
  const subnet = parsePrefix(subnetText)
  if (!subnet) throw new Error(`network ${network.id} has the subnet ${subnetText}`)
  const { range, reserved } = rangeOf(network.spec, subnet)
  const used = new Set(taken)
  if (wanted) {
    const address = requireAddress(wanted, `network ${network.name}:`, subnet.family)
    if (!isConfigured(network.spec, subnet.family)) {
      throw new TcomposeError(
        'INVALID',
        `invalid config for network ${network.name}: user specified IP address is supported only when connecting to networks with user configured subnets`,
      )
    }
    if (!contains(subnet, address)) {
      throw new TcomposeError(
        'INVALID',
        `invalid config for network ${network.name}: no configured subnet contains IP address ${wanted}`,
      )
    }
    const text = formatAddress(address)
    if (used.has(text) || text === gateway) {
      throw new TcomposeError('CONFLICT', `network ${network.name}: address ${text} is already in use`)
    }
    return text
  }
  const { from, to } = hostRange(range)
  const value = firstFree(from, to, (candidate) => {
    const text = formatAddress({ family: subnet.family, value: candidate })
    return text !== gateway && !used.has(text) && !reserved.has(candidate)
  })
  if (value === undefined) {
    throw new TcomposeError(
      'UNAVAILABLE',
      `no available IPv${subnet.family} addresses on this network's address pools: ${network.name} (${formatPrefix(range)})`,
    )
  }
  return formatAddress({ family: subnet.family, value })
}

function isConfigured(spec: NetworkSpec, family: 4 | 6): boolean {
  return (spec.ipam?.pools ?? []).some((pool) => pool.subnet && parsePrefix(pool.subnet)?.family === family)
}

/**
 * The MAC address of an endpoint. It follows from the IPv4 address, so that neighbours who remember an address still
 * reach the container that has it next.
 * @throws TcomposeError INVALID
 */
export function macAddressFor(wanted: string | undefined, ipv4: string): string {
  if (wanted) {
    const text = wanted.toLowerCase().replaceAll('-', ':')
    const first = Number.parseInt(text.slice(0, 2), 16)
    if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(text) || (first & 1) === 1) {
      throw new TcomposeError('INVALID', `invalid MAC address ${JSON.stringify(wanted)}`)
    }
    return text
  }
  const bytes = ipv4 === '' ? [...randomBytes(4)] : ipv4.split('.').map(Number)
  return ['02', '42', ...bytes.map((byte) => byte.toString(16).padStart(2, '0'))].join(':')
}
