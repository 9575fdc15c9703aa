import { readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'

/** A destination the host has a route or an address for, and through which interface. */
export interface HostPrefix {
  /** `172.17.0.0/16`, `fd00::/8` */
  readonly prefix: string
  readonly device: string
}

/** Destinations of all routes in our network namespace, default routes left out, and addresses of its interfaces. */
export function hostPrefixes(): readonly HostPrefix[] {
  return [...routes4(read('/proc/net/route')), ...routes6(read('/proc/net/ipv6_route')), ...addresses()]
}

/** Names of the interfaces in our network namespace, or in that of `pid`. */
export function interfaceNames(pid?: number): readonly string[] {
  const lines = read(pid === undefined ? '/proc/net/dev' : `/proc/${pid}/net/dev`).split('\n')
  return lines.slice(2).flatMap((line) => /^\s*([^\s:]+):/.exec(line)?.[1] ?? [])
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return '' // a kernel without IPv6
  }
}

/** Columns: Iface Destination Gateway Flags … Mask, numbers in hex with the bytes turned round. */
export function routes4(text: string): readonly HostPrefix[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [device = '', destination = '', , , , , , mask = ''] = line.trim().split(/\s+/)
      if (!/^[0-9A-F]{8}$/i.test(destination) || !/^[0-9A-F]{8}$/i.test(mask)) return []
      const bits = bytesOf(mask).reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0)
      if (bits === 0) return []
      return [{ prefix: `${bytesOf(destination).join('.')}/${bits}`, device }]
    })
}

function bytesOf(hex: string): readonly number[] {
  return [6, 4, 2, 0].map((at) => Number.parseInt(hex.slice(at, at + 2), 16))
}

/** Columns: destination, prefix length, source, its length, next hop, metric, counts, flags, device. */
export function routes6(text: string): readonly HostPrefix[] {
  return text.split('\n').flatMap((line) => {
    const fields = line.trim().split(/\s+/)
    const [destination = '', length = ''] = fields
    const bits = Number.parseInt(length, 16)
    const device = fields[9] ?? ''
    if (!/^[0-9a-f]{32}$/.test(destination) || !(bits > 0) || device === 'lo') return []
    // Multicast and link-local are on every link.
    if (destination.startsWith('ff') || /^fe[89ab]/.test(destination)) return []
    return [{ prefix: `${destination.replace(/(....)(?=.)/g, '$1:')}/${bits}`, device }]
  })
}

function addresses(): readonly HostPrefix[] {
  return Object.entries(networkInterfaces()).flatMap(([device, list]) =>
    (list ?? []).flatMap((one) =>
      one.internal || one.cidr === null || one.address.startsWith('fe80:') ? [] : [{ prefix: one.cidr, device }],
    ),
  )
}
