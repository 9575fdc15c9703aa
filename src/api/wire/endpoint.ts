import type { ContainerEndpoint, PublishedPort } from '../../engine/containers/types.ts'

/** `EndpointSettings` of inspect and list. */
export function wireEndpoint(endpoint: ContainerEndpoint, live: boolean): object {
  const { spec } = endpoint
  const fixed = spec.ipv4Address || spec.ipv6Address || (spec.linkLocalIps ?? []).length > 0
  return {
    IPAMConfig: fixed
      ? {
          ...(spec.ipv4Address ? { IPv4Address: spec.ipv4Address } : {}),
          ...(spec.ipv6Address ? { IPv6Address: spec.ipv6Address } : {}),
          ...(spec.linkLocalIps?.length ? { LinkLocalIPs: spec.linkLocalIps } : {}),
        }
      : null,
    Links: spec.links?.length ? spec.links : null,
    Aliases: spec.aliases?.length ? spec.aliases : null,
    MacAddress: live ? endpoint.macAddress : '',
    DriverOpts: spec.driverOpts && Object.keys(spec.driverOpts).length > 0 ? spec.driverOpts : null,
    GwPriority: spec.gwPriority ?? 0,
    NetworkID: endpoint.networkId,
    EndpointID: live ? endpoint.endpointId : '',
    Gateway: live ? endpoint.ipv4Gateway : '',
    IPAddress: live ? endpoint.ipv4 : '',
    IPPrefixLen: live ? endpoint.ipv4PrefixLength : 0,
    IPv6Gateway: live ? endpoint.ipv6Gateway : '',
    GlobalIPv6Address: live ? endpoint.ipv6 : '',
    GlobalIPv6PrefixLen: live ? endpoint.ipv6PrefixLength : 0,
    DNSNames: endpoint.dnsNames.length > 0 ? endpoint.dnsNames : null,
  }
}

type HostBinding = { readonly HostIp: string; readonly HostPort: string }

/** `Ports` of inspect: exposed ones with null, published ones with what they are bound to. */
export function wirePortMap(
  exposed: readonly string[],
  ports: readonly PublishedPort[],
): Record<string, HostBinding[] | null> {
  const map: Record<string, HostBinding[] | null> = {}
  for (const port of exposed) map[port] = null
  for (const port of ports) {
    const key = `${port.containerPort}/${port.protocol}`
    const bindings = map[key] ?? []
    // All addresses is two bindings, as dockerd makes them.
    const addresses = port.hostIp === '' ? ['0.0.0.0', '::'] : [port.hostIp]
    for (const HostIp of addresses) bindings.push({ HostIp, HostPort: String(port.hostPort) })
    map[key] = bindings
  }
  return map
}

/** `Ports` of the list. */
export function wirePortList(exposed: readonly string[], ports: readonly PublishedPort[]): object[] {
  const published = ports.flatMap((port) =>
    (port.hostIp === '' ? ['0.0.0.0', '::'] : [port.hostIp]).map((IP) => ({
      IP,
      PrivatePort: port.containerPort,
      PublicPort: port.hostPort,
      Type: port.protocol,
    })),
  )
  const bound = new Set(ports.map((port) => `${port.containerPort}/${port.protocol}`))
  const rest = exposed
    .filter((port) => !bound.has(port))
    .map((port) => ({ PrivatePort: Number.parseInt(port, 10), Type: port.split('/')[1] ?? 'tcp' }))
  return [...rest, ...published]
}
