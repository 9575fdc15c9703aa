import { hash, randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { errnoOf, messageOf, TcomposeError } from '../../base/errors.ts'
import { ip, NO_LINK } from '../../platform/ip.ts'
import type { ContainerEndpoint } from '../containers/types.ts'
import type { NetworkOptions } from './options.ts'
import type { Network } from './types.ts'

/** How the names of an endpoint's host links begin. */
export function hostLinkPrefix(containerId: string, networkId: string): string {
  return `v${hash('sha256', `${containerId}/${networkId}`, 'hex').slice(0, 10)}`
}

/** What marks a bridge as one of ours, for those who find it without a record. */
export function bridgeAlias(instance: string, networkId: string): string {
  return `${instance}/${networkId}`
}

/** Makes the bridge of a network, with its addresses, up. */
export async function createBridge(network: Network, options: NetworkOptions, instance: string): Promise<void> {
  const { bridge } = network
  const addresses = options.noGateway
    ? []
    : [
        ...gatewayAddress(network.ipv4Gateway, network.ipv4Subnet),
        ...gatewayAddress(network.ipv6Gateway, network.ipv6Subnet),
      ]
  // A fixed address: a bridge without one takes that of its lowest port, and changes it as containers come and go.
  const mac = ['02', '42', ...[...randomBytes(4)].map((byte) => byte.toString(16).padStart(2, '0'))].join(':')
  const alias = bridgeAlias(instance, network.id)
  const generate = network.ipv6Subnet === '' ? 'addrgenmode none' : ''
  await ip([
    `link add name ${bridge} address ${mac} mtu ${options.mtu} type bridge forward_delay 0`,
    `link set dev ${bridge} alias ${alias} ${generate}`,
    ...addresses.map((address) => `addr add ${address} dev ${bridge} ${address.includes(':') ? 'nodad' : 'brd +'}`),
    `link set dev ${bridge} up`,
  ])
  prepareHost(network)
}

function gatewayAddress(gateway: string, subnet: string): readonly string[] {
  return gateway === '' ? [] : [`${gateway}/${subnet.split('/')[1]}`]
}

/** What the host must let pass: forwarding, and packets between 127.0.0.1 and the bridge. */
function prepareHost(network: Network): void {
  const { bridge } = network
  writeSysctl(`net/ipv4/conf/${bridge}/route_localnet`, '1')
  if (readSysctl('net/ipv4/ip_forward') === '0') writeSysctl('net/ipv4/ip_forward', '1')
  if (network.ipv6Subnet === '') return
  writeSysctl(`net/ipv6/conf/${bridge}/accept_ra`, '0')
  if (readSysctl('net/ipv6/conf/all/forwarding') !== '0') return
  keepRouterAdvertisements()
  writeSysctl('net/ipv6/conf/all/forwarding', '1')
}

/** A host that forwards no longer learns its own routes from routers, unless told to go on (2). */
function keepRouterAdvertisements(): void {
  for (const line of readFileSync('/proc/net/dev', 'latin1').split('\n').slice(2)) {
    const device = line.split(':')[0]?.trim() ?? ''
    const path = `net/ipv6/conf/${device}/accept_ra`
    if (device !== '' && device !== 'lo' && readSysctl(path) === '1') writeSysctl(path, '2')
  }
}

function readSysctl(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name}`, 'latin1').trim()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function writeSysctl(name: string, value: string): void {
  try {
    writeFileSync(`/proc/sys/${name}`, value)
  } catch (error) {
    // Somebody else has taken the bridge away, or the kernel has no IPv6.
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}

/** An endpoint that is to get its interface. */
export interface Attachment {
  readonly containerId: string
  readonly pid: number
  readonly network: Network
  readonly options: NetworkOptions
  readonly endpoint: ContainerEndpoint
  /** Host end of the veth pair: a new name for every start, as the kernel may still be taking down the last one. */
  readonly hostName: string
}

/** A name for the host end of an endpoint's veth pair. */
export function newHostName(containerId: string, networkId: string): string {
  return `${hostLinkPrefix(containerId, networkId)}${randomBytes(2).toString('hex')}`
}

/** Name of the interface when it arrives in the container's namespace. */
export function arrivalName(attachment: Attachment): string {
  return `t${attachment.hostName.slice(1)}`
}

/** Commands that put an interface into the namespace of `pid`. */
export function attachCommands(attachment: Attachment): readonly string[] {
  const { network, options, pid, endpoint } = attachment
  const arrival = arrivalName(attachment)
  if (network.driver !== 'bridge') {
    const address = network.driver === 'macvlan' ? `address ${endpoint.macAddress}` : ''
    return [
      `link add link ${parentLink(network, options)} name ${arrival} netns ${pid} mtu ${options.mtu} ${address} type ${network.driver} mode ${options.mode}`,
    ]
  }
  const name = attachment.hostName
  return [
    `link add name ${name} mtu ${options.mtu} master ${network.bridge} type veth peer name ${arrival} netns ${pid} address ${endpoint.macAddress} mtu ${options.mtu}`,
    `link set dev ${name} addrgenmode none up type bridge_slave hairpin on`,
  ]
}

/** What a macvlan or ipvlan network hangs on: an interface of the host, or, without one, a bridge of its own that leads nowhere. */
export function parentLink(network: Network, options: NetworkOptions): string {
  return options.parent === '' ? network.bridge : options.parent
}

/** Tries whether the kernel has links of the driver. @throws TcomposeError UNSUPPORTED by name when it has none */
export async function requireDriver(network: Network, options: NetworkOptions): Promise<void> {
  if (network.driver === 'bridge') return
  const name = `v${randomBytes(7).toString('hex')}`
  try {
    await ip([`link add link ${parentLink(network, options)} name ${name} type ${network.driver} mode ${options.mode}`])
  } catch (error) {
    if (!/Unknown device type|not supported/.test(messageOf(error))) throw error
    throw new TcomposeError('UNSUPPORTED', `network driver "${network.driver}" of network ${network.name}`, {
      hint: `the kernel has no ${network.driver} links: modprobe ${network.driver}, or use driver bridge`,
      cause: error,
    })
  }
  await deleteLinks([name])
}

/** Deletes links by name; missing ones are no error. */
export async function deleteLinks(names: readonly string[]): Promise<void> {
  if (names.length === 0) return
  await ip(
    names.map((name) => `link del dev ${name}`),
    { ignore: NO_LINK },
  )
}
