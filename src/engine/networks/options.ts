import { TcomposeError } from '../../base/errors.ts'
import { requireAddress } from './address.ts'
import type { NetworkSpec } from './types.ts'

export const BRIDGE_NAME = 'com.docker.network.bridge.name'

/** What `driver_opts` of a network come to. */
export interface NetworkOptions {
  readonly bridgeName: string | undefined
  readonly mtu: number
  /** Containers of the network may reach each other. */
  readonly icc: boolean
  readonly masquerade: boolean
  /** Source address of what goes out, instead of the outgoing interface's. */
  readonly hostIpv4: string | undefined
  /** Where ports without an address of their own are published; '' for everywhere. */
  readonly hostBinding: string
  /** Others may reach ports that are not published: gateway modes `nat-unprotected` and `routed`. */
  readonly open: boolean
  /** The bridge has no address: gateway mode `isolated`. */
  readonly noGateway: boolean
  readonly interfacePrefix: string
  /** macvlan, ipvlan: interface of the host they hang on, '' for none. */
  readonly parent: string
  readonly mode: string
}

const BRIDGE_OPTIONS = [
  BRIDGE_NAME,
  'com.docker.network.bridge.default_bridge',
  'com.docker.network.bridge.enable_icc',
  'com.docker.network.bridge.enable_ip_masquerade',
  'com.docker.network.bridge.host_binding_ipv4',
  'com.docker.network.bridge.gateway_mode_ipv4',
  'com.docker.network.bridge.gateway_mode_ipv6',
  'com.docker.network.bridge.inhibit_ipv4',
  'com.docker.network.bridge.mtu',
  'com.docker.network.host_ipv4',
]
const COMMON_OPTIONS = ['com.docker.network.driver.mtu', 'com.docker.network.container_iface_prefix']
const MACVLAN_OPTIONS = ['parent', 'macvlan_mode']
const IPVLAN_OPTIONS = ['parent', 'ipvlan_mode']

const MACVLAN_MODES = ['bridge', 'private', 'vepa', 'passthru']
const IPVLAN_MODES = ['l2', 'l3', 'l3s']

/**
 * Reads a network's `driver_opts`.
 * @throws TcomposeError UNSUPPORTED naming an option that is not known, INVALID for a value that is none of its own
 */
export function networkOptions(spec: NetworkSpec): NetworkOptions {
  const options = spec.driverOpts ?? {}
  const driver = spec.driver ?? 'bridge'
  const own = driver === 'macvlan' ? MACVLAN_OPTIONS : driver === 'ipvlan' ? IPVLAN_OPTIONS : BRIDGE_OPTIONS
  for (const name of Object.keys(options)) {
    if (own.includes(name) || COMMON_OPTIONS.includes(name)) continue
    throw new TcomposeError('UNSUPPORTED', `driver option "${name}" of network ${spec.name} (driver ${driver})`)
  }
  const flag = (name: string, fallback: boolean): boolean => {
    const value = options[name]
    if (value === undefined || value === '') return fallback
    if (/^(1|t|true)$/i.test(value)) return true
    if (/^(0|f|false)$/i.test(value)) return false
    throw invalid(spec, name, value)
  }
  const address = (name: string): string | undefined => {
    const value = options[name]
    if (!value) return undefined
    requireAddress(value, `driver option ${name} of network ${spec.name}:`, 4)
    return value
  }
  const mtuText = options['com.docker.network.driver.mtu'] ?? options['com.docker.network.bridge.mtu'] ?? '1500'
  const mtu = Number(mtuText || '1500')
  if (!Number.isInteger(mtu) || mtu < 68 || mtu > 65_535) {
    throw invalid(spec, 'com.docker.network.driver.mtu', mtuText)
  }
  const bridgeName = options[BRIDGE_NAME] || undefined
  if (bridgeName !== undefined && !/^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/.test(bridgeName)) {
    throw invalid(spec, BRIDGE_NAME, bridgeName)
  }
  const gateways = [4, 6].map((family) => gatewayMode(spec, `com.docker.network.bridge.gateway_mode_ipv${family}`))
  const hostBinding = address('com.docker.network.bridge.host_binding_ipv4')
  return {
    bridgeName,
    mtu,
    icc: flag('com.docker.network.bridge.enable_icc', true),
    masquerade: flag('com.docker.network.bridge.enable_ip_masquerade', true) && !gateways.includes('routed'),
    hostIpv4: address('com.docker.network.host_ipv4'),
    hostBinding: hostBinding === undefined || hostBinding === '0.0.0.0' ? '' : hostBinding,
    open: gateways.some((mode) => mode === 'routed' || mode === 'nat-unprotected'),
    noGateway: gateways.includes('isolated') || flag('com.docker.network.bridge.inhibit_ipv4', false),
    interfacePrefix: interfacePrefix(spec),
    parent: options.parent ?? '',
    mode: modeOf(spec, driver),
  }
}

function gatewayMode(spec: NetworkSpec, name: string): string {
  const value = spec.driverOpts?.[name] || 'nat'
  if (!['nat', 'nat-unprotected', 'routed', 'isolated'].includes(value)) throw invalid(spec, name, value)
  if (value === 'isolated' && !spec.internal) {
    throw new TcomposeError(
      'INVALID',
      `gateway mode 'isolated' can only be used for an internal network (${spec.name})`,
    )
  }
  return value
}

function interfacePrefix(spec: NetworkSpec): string {
  const name = 'com.docker.network.container_iface_prefix'
  const value = spec.driverOpts?.[name] || 'eth'
  if (!/^[A-Za-z][A-Za-z0-9_.-]{0,11}$/.test(value)) throw invalid(spec, name, value)
  return value
}

function modeOf(spec: NetworkSpec, driver: string): string {
  if (driver !== 'macvlan' && driver !== 'ipvlan') return ''
  const name = `${driver}_mode`
  const modes = driver === 'macvlan' ? MACVLAN_MODES : IPVLAN_MODES
  const value = spec.driverOpts?.[name] || (modes[0] as string)
  if (!modes.includes(value)) throw invalid(spec, name, value)
  return value
}

function invalid(spec: NetworkSpec, name: string, value: string): TcomposeError {
  return new TcomposeError(
    'INVALID',
    `driver option ${name} of network ${spec.name}: ${JSON.stringify(value)} is not valid`,
  )
}
