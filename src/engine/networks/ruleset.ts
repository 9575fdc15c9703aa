import type { Network } from './types.ts'

/** The parts of a network that the rules need. */
export type RuledNetwork = Pick<Network, 'bridge' | 'ipv4Subnet' | 'ipv6Subnet' | 'spec'>

/** A published port with where it leads. */
export interface PublishedRule {
  readonly protocol: string
  /** '' for all addresses. */
  readonly hostIp: string
  readonly hostPort: number
  readonly containerPort: number
  readonly ipv4: string
  readonly ipv6: string
}

/**
 * Our one table. What changes is in sets and maps, so that a network or a port is an element and not a rule. Every
 * chain decides about traffic of our own bridges alone: other engines' and the host's pass through untouched.
 */
export function baseCommands(table: string): readonly string[] {
  const t = `inet ${table}`
  return [
    `add table ${t}`,
    `add set ${t} bridges { type ifname; }`,
    `add set ${t} internal { type ifname; }`,
    `add set ${t} nat4 { type ipv4_addr; flags interval; }`,
    `add set ${t} nat6 { type ipv6_addr; flags interval; }`,
    `add map ${t} same { type ifname . ifname : verdict; }`,
    `add map ${t} pub4 { type inet_proto . inet_service : ipv4_addr . inet_service; }`,
    `add map ${t} pub4a { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }`,
    `add map ${t} pub6 { type inet_proto . inet_service : ipv6_addr . inet_service; }`,
    `add map ${t} pub6a { type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; }`,
    `add chain ${t} raw_prerouting { type filter hook prerouting priority raw; policy accept; }`,
    `add chain ${t} nat_prerouting { type nat hook prerouting priority dstnat; policy accept; }`,
    `add chain ${t} nat_output { type nat hook output priority -100; policy accept; }`,
    `add chain ${t} nat_postrouting { type nat hook postrouting priority srcnat; policy accept; }`,
    `add chain ${t} forward { type filter hook forward priority filter; policy accept; }`,
    `add chain ${t} publish`,
    ...['raw_prerouting', 'nat_prerouting', 'nat_output', 'nat_postrouting', 'forward', 'publish'].map(
      (chain) => `flush chain ${t} ${chain}`,
    ),
    // route_localnet opens 127/8 to the bridges: without this a container reads the host's loopback (CVE-2020-8558).
    `add rule ${t} raw_prerouting iifname @bridges ip daddr 127.0.0.0/8 drop`,
    // A port published on 127.0.0.1 is the host's alone, also where something else set route_localnet.
    `add rule ${t} raw_prerouting iifname != "lo" ip daddr 127.0.0.0/8 ip daddr . meta l4proto . th dport @pub4a drop`,
    `add rule ${t} nat_prerouting fib daddr type local jump publish`,
    `add rule ${t} nat_output fib daddr type local jump publish`,
    `add rule ${t} publish dnat ip to ip daddr . meta l4proto . th dport map @pub4a`,
    `add rule ${t} publish dnat ip to meta l4proto . th dport map @pub4`,
    `add rule ${t} publish ip6 daddr != ::1 dnat ip6 to ip6 daddr . meta l4proto . th dport map @pub6a`,
    `add rule ${t} publish ip6 daddr != ::1 dnat ip6 to meta l4proto . th dport map @pub6`,
    // The host itself through a published port on 127.0.0.1: its loopback address would find no way back.
    `add rule ${t} nat_postrouting oifname @bridges ip saddr 127.0.0.0/8 masquerade`,
    // Hairpin. No iifname: with br_netfilter the packet is bridged and has none.
    `add rule ${t} nat_postrouting oifname @bridges ct status dnat ip saddr @nat4 masquerade`,
    `add rule ${t} nat_postrouting oifname @bridges ct status dnat ip6 saddr @nat6 masquerade`,
    `add rule ${t} nat_postrouting iifname @bridges oifname != @bridges ip saddr @nat4 masquerade`,
    `add rule ${t} nat_postrouting iifname @bridges oifname != @bridges ip6 saddr @nat6 masquerade`,
    `add rule ${t} forward iifname != @bridges oifname != @bridges accept`,
    `add rule ${t} forward ct state established,related accept`,
    `add rule ${t} forward iifname . oifname vmap @same`,
    `add rule ${t} forward iifname @internal drop`,
    `add rule ${t} forward oifname @internal drop`,
    `add rule ${t} forward oifname @bridges ct status dnat accept`,
    `add rule ${t} forward oifname @bridges drop`,
    `add rule ${t} forward iifname @bridges accept`,
  ]
}

export function networkCommands(table: string, network: RuledNetwork, verb: 'add' | 'delete'): readonly string[] {
  const t = `inet ${table}`
  const icc = network.spec.driverOpts?.['com.docker.network.bridge.enable_icc'] !== 'false'
  const masquerade = network.spec.driverOpts?.['com.docker.network.bridge.enable_ip_masquerade'] !== 'false'
  const name = `"${network.bridge}"`
  return [
    `${verb} element ${t} bridges { ${name} }`,
    `${verb} element ${t} same { ${name} . ${name} : ${icc ? 'accept' : 'drop'} }`,
    ...(network.spec.internal ? [`${verb} element ${t} internal { ${name} }`] : []),
    ...(!network.spec.internal && masquerade && network.ipv4Subnet !== ''
      ? [`${verb} element ${t} nat4 { ${network.ipv4Subnet} }`]
      : []),
    ...(!network.spec.internal && masquerade && network.ipv6Subnet !== ''
      ? [`${verb} element ${t} nat6 { ${network.ipv6Subnet} }`]
      : []),
  ]
}

export function publishCommands(table: string, rule: PublishedRule, verb: 'add' | 'delete'): readonly string[] {
  const t = `inet ${table}`
  const key = `${rule.protocol} . ${rule.hostPort}`
  const to4 = verb === 'add' ? ` : ${rule.ipv4} . ${rule.containerPort}` : ''
  const to6 = verb === 'add' ? ` : ${rule.ipv6} . ${rule.containerPort}` : ''
  const commands: string[] = []
  const everywhere4 = rule.hostIp === '' || rule.hostIp === '0.0.0.0'
  const everywhere6 = rule.hostIp === '' || rule.hostIp === '::'
  if (rule.ipv4 !== '' && everywhere4) commands.push(`${verb} element ${t} pub4 { ${key}${to4} }`)
  else if (rule.ipv4 !== '' && /^[\d.]+$/.test(rule.hostIp))
    commands.push(`${verb} element ${t} pub4a { ${rule.hostIp} . ${key}${to4} }`)
  if (rule.ipv6 !== '' && everywhere6) commands.push(`${verb} element ${t} pub6 { ${key}${to6} }`)
  else if (rule.ipv6 !== '' && rule.hostIp.includes(':') && rule.hostIp !== '::1')
    commands.push(`${verb} element ${t} pub6a { ${rule.hostIp} . ${key}${to6} }`)
  return commands
}
