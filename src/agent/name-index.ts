import type { Container } from '../engine/containers/types.ts'
import { encodeIpv4, encodeIpv6, encodeName, ipv6Key } from './dns-message.ts'

/** Addresses of a name, as they go into an answer. */
export interface NameAddresses {
  readonly ipv4: readonly Uint8Array[]
  readonly ipv6: readonly Uint8Array[]
}

/** What one container may know by name: what lives on its networks. */
export interface NameView {
  /** @param name lower case; undefined when no container has it */
  addresses(name: string): NameAddresses | undefined
  /** Encoded name of the container that has this address (`1.2.3.4` or 32 hex digits) on a network of the asker's. */
  reverse(address: string): Uint8Array | undefined
}

export interface NameIndex {
  viewOf(container: Pick<Container, 'endpoints'>): NameView
}

interface NetworkNames {
  readonly name: string
  readonly names: Map<string, { ipv4: Uint8Array[]; ipv6: Uint8Array[] }>
  readonly addresses: Map<string, Uint8Array>
}

/** The names of all containers that run, by network. */
export function buildNameIndex(running: readonly Container[]): NameIndex {
  const networks = new Map<string, NetworkNames>()
  for (const container of running) {
    for (const endpoint of container.endpoints) {
      let network = networks.get(endpoint.networkId)
      if (!network) {
        network = { name: endpoint.networkName.toLowerCase(), names: new Map(), addresses: new Map() }
        networks.set(endpoint.networkId, network)
      }
      const ipv4 = endpoint.ipv4 === '' ? undefined : encodeIpv4(endpoint.ipv4)
      const ipv6 = endpoint.ipv6 === '' ? undefined : encodeIpv6(endpoint.ipv6)
      for (const name of new Set(endpoint.dnsNames.map((one) => one.toLowerCase()))) {
        let entry = network.names.get(name)
        if (!entry) {
          entry = { ipv4: [], ipv6: [] }
          network.names.set(name, entry)
        }
        if (ipv4) entry.ipv4.push(ipv4)
        if (ipv6) entry.ipv6.push(ipv6)
      }
      const back = encodeName(`${container.name}.${endpoint.networkName}`) ?? encodeName(container.name)
      if (back && ipv4) network.addresses.set(endpoint.ipv4, back)
      if (back && ipv6) network.addresses.set(ipv6Key(endpoint.ipv6), back)
    }
  }
  return {
    viewOf(container) {
      const own = container.endpoints.flatMap((endpoint) => {
        const network = networks.get(endpoint.networkId)
        return network ? [{ network, links: linksOf(endpoint.spec.links ?? []) }] : []
      })
      return {
        addresses(name) {
          for (const { network, links } of own) {
            const found = network.names.get(links.get(name) ?? name)
            if (found) return found
          }
          // `name.network`, for a name that is on several of the asker's networks.
          const dot = name.lastIndexOf('.')
          if (dot <= 0) return undefined
          const network = own.find((one) => one.network.name === name.slice(dot + 1))
          return network?.network.names.get(network.links.get(name.slice(0, dot)) ?? name.slice(0, dot))
        },
        reverse: (address) => own.map(({ network }) => network.addresses.get(address)).find((name) => name),
      }
    },
  }
}

/** `container:alias`: names that hold for this asker alone. */
function linksOf(links: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    links.map((link) => {
      const [target = '', alias] = link.toLowerCase().split(':')
      return [alias || target, target]
    }),
  )
}
