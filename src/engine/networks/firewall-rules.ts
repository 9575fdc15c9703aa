import { hash } from 'node:crypto'
import type { NetworkOptions } from './options.ts'

/** What the firewall needs to know of a bridge network. */
export interface FilteredNetwork {
  readonly bridge: string
  readonly internal: boolean
  readonly ipv4Subnet: string
  readonly ipv6Subnet: string
  readonly options: Pick<NetworkOptions, 'icc' | 'masquerade' | 'open' | 'hostIpv4'>
}

/** A host port and the container address it leads to. */
export interface Publication {
  readonly protocol: string
  /** '' : all addresses, v4 and v6. */
  readonly hostIp: string
  readonly hostPort: number
  readonly containerPort: number
  readonly ipv4: string
  readonly ipv6: string
}

/** One member of a set, or entry of a map. */
export interface Element {
  readonly set: string
  readonly key: string
  readonly value?: string
}

/**
 * The fixed part: everything that changes lives in the sets and maps, so that a change is one element.
 *
 * The hooks have the policy accept, and rules that drop look only at traffic from or to our own bridges: neither other
 * engines nor the host's own firewall are affected. What each rule is for:
 * - guard: `route_localnet` lets the host's 127.0.0.1 reach containers; containers must not reach the host's.
 * - arriving: nobody from outside may reach a port that is published on 127.0.0.1 alone.
 * - leaving: ::1 cannot be redirected (there is no route_localnet for IPv6); the shim's own socket answers there.
 * - source: (1) the host as a client, also as 127.0.0.1; (2) hairpin: a container as client of a published port, where
 *   the packet may be bridged and has no incoming interface; (3) the way out.
 */
function baseRules(): readonly string[] {
  return [
    'map pub4 { type inet_proto . inet_service : ipv4_addr . inet_service; }',
    'map pub4a { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }',
    'map pub6 { type inet_proto . inet_service : ipv6_addr . inet_service; }',
    'map pub6a { type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; }',
    'map same { type ifname . ifname : verdict; }',
    'map snat4 { type ipv4_addr : ipv4_addr; flags interval; }',
    'set bridges { type ifname; }',
    'set internal { type ifname; }',
    'set open { type ifname; }',
    'set nat4 { type ipv4_addr; flags interval; }',
    'set nat6 { type ipv6_addr; flags interval; }',
    `chain publish {
      dnat ip to ip daddr . meta l4proto . th dport map @pub4a
      dnat ip to meta l4proto . th dport map @pub4
      dnat ip6 to ip6 daddr . meta l4proto . th dport map @pub6a
      dnat ip6 to meta l4proto . th dport map @pub6
    }`,
    `chain decide {
      ct state established,related accept
      iifname . oifname vmap @same
      iifname @internal drop
      oifname @internal drop
      ct status dnat accept
      oifname @open accept
      oifname @bridges drop
    }`,
    `chain guard {
      type filter hook prerouting priority raw; policy accept;
      iifname @bridges ip daddr 127.0.0.0/8 drop
    }`,
    `chain arriving {
      type nat hook prerouting priority dstnat; policy accept;
      ip daddr 127.0.0.0/8 return
      fib daddr type local jump publish
    }`,
    `chain leaving {
      type nat hook output priority -100; policy accept;
      ip6 daddr ::1 return
      fib daddr type local jump publish
    }`,
    `chain source {
      type nat hook postrouting priority srcnat; policy accept;
      meta nfproto ipv4 oifname @bridges fib saddr type local masquerade
      oifname @bridges ct status dnat ip saddr @nat4 masquerade
      oifname @bridges ct status dnat ip6 saddr @nat6 masquerade
      iifname @bridges oifname != @bridges snat ip to ip saddr map @snat4
      iifname @bridges oifname != @bridges ip saddr @nat4 masquerade
      iifname @bridges oifname != @bridges ip6 saddr @nat6 masquerade
    }`,
    `chain forwarded {
      type filter hook forward priority filter; policy accept;
      iifname @bridges jump decide
      oifname @bridges jump decide
    }`,
  ]
}

/** A chain whose name tells which version of the rules a table has. */
export function versionChain(): string {
  return `rules_${hash('sha256', baseRules().join('\n'), 'hex').slice(0, 8)}`
}

/** Replaces the whole table by one with these elements, in one transaction. */
export function tableScript(table: string, elements: readonly Element[]): string {
  const body = [...baseRules(), `chain ${versionChain()} { }`].join('\n')
  const head = `table inet ${table}\ndelete table inet ${table}\ntable inet ${table} {\n${body}\n}\n`
  return `${head}${addStatements(table, elements).join('\n')}\n`
}

export function addStatements(table: string, elements: readonly Element[]): readonly string[] {
  return elements.map(({ set, key, value }) => {
    return `add element inet ${table} ${set} { ${key}${value === undefined ? '' : ` : ${value}`} }`
  })
}

/**
 * Deletes elements that may be missing already: adding first makes the deletion succeed, and fails as a whole where a
 * key has another value by now, which is then somebody else's.
 */
export function deleteStatements(table: string, elements: readonly Element[]): readonly string[] {
  return addStatements(table, elements).flatMap((add, index) => {
    const { set, key } = elements[index] as Element
    return [add, `delete element inet ${table} ${set} { ${key} }`]
  })
}

export function networkElements(network: FilteredNetwork): readonly Element[] {
  const name = `"${network.bridge}"`
  const { options } = network
  const nat = options.masquerade && !network.internal
  const of = (set: string, when: boolean, key: string, value?: string): readonly Element[] =>
    when ? [{ set, key, ...(value === undefined ? {} : { value }) }] : []
  return [
    ...of('bridges', true, name),
    ...of('same', options.icc, `${name} . ${name}`, 'accept'),
    ...of('internal', network.internal, name),
    ...of('open', options.open && !network.internal, name),
    ...of(
      'snat4',
      nat && options.hostIpv4 !== undefined && network.ipv4Subnet !== '',
      network.ipv4Subnet,
      options.hostIpv4,
    ),
    ...of('nat4', nat && network.ipv4Subnet !== '', network.ipv4Subnet),
    ...of('nat6', nat && network.ipv6Subnet !== '', network.ipv6Subnet),
  ]
}

export function publicationElements(port: Publication): readonly Element[] {
  const service = `${port.protocol} . ${port.hostPort}`
  const v4 = port.ipv4 === '' ? undefined : `${port.ipv4} . ${port.containerPort}`
  const v6 = port.ipv6 === '' ? undefined : `${port.ipv6} . ${port.containerPort}`
  const { hostIp } = port
  const elements: Element[] = []
  if (v4 && (hostIp === '' || hostIp === '0.0.0.0')) elements.push({ set: 'pub4', key: service, value: v4 })
  else if (v4 && !hostIp.includes(':')) elements.push({ set: 'pub4a', key: `${hostIp} . ${service}`, value: v4 })
  if (v6 && (hostIp === '' || hostIp === '::')) elements.push({ set: 'pub6', key: service, value: v6 })
  else if (v6 && hostIp.includes(':')) elements.push({ set: 'pub6a', key: `${hostIp} . ${service}`, value: v6 })
  return elements
}
