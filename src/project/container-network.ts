import { TcomposeError } from '../base/errors.ts'
import type { Service } from '../compose/types.ts'
import type { EndpointSpec, NamespaceSpec, NetworkModeSpec } from '../engine/containers/spec.ts'
import type { SpecContext } from './container-spec.ts'

/** `network_mode`, else the service's networks: the one with the highest `priority`, then the first by name, is primary. */
export function toNetworkMode(service: Service, context: SpecContext): NetworkModeSpec {
  const mode = service.network_mode ?? ''
  if (mode === 'none') return { kind: 'none' }
  if (mode === 'host') return { kind: 'host' }
  if (mode.startsWith('service:')) {
    return { kind: 'container', container: context.containerOf(mode.slice('service:'.length), 'network namespace') }
  }
  if (mode.startsWith('container:')) return { kind: 'container', container: mode.slice('container:'.length) }
  if (mode !== '' && mode !== 'bridge' && mode !== 'default') {
    return { kind: 'networks', endpoints: [{ network: mode }] }
  }
  const names = orderedNetworks(service)
  if (isDefaultBridge(service)) return { kind: 'networks', endpoints: [{ network: 'bridge' }] }
  return { kind: 'networks', endpoints: names.map((name, index) => toEndpoint(name, service, context, index === 0)) }
}

/** On the engine's own network there is no resolver for names: links are lines of /etc/hosts. */
function isDefaultBridge(service: Service): boolean {
  const mode = service.network_mode ?? ''
  if (mode !== '') return mode === 'bridge' || mode === 'default'
  return Object.keys(service.networks ?? {}).length === 0
}

/** Links of a container on the default network; on others they belong to its endpoints. */
export function defaultBridgeLinks(service: Service, context: SpecContext): readonly string[] {
  return isDefaultBridge(service) ? toLinks(service, context) : []
}

export function orderedNetworks(service: Service): readonly string[] {
  const networks = service.networks ?? {}
  return Object.keys(networks).sort((a, b) => {
    const difference = Number(networks[b]?.priority ?? 0) - Number(networks[a]?.priority ?? 0)
    return difference !== 0 ? difference : a < b ? -1 : 1
  })
}

/** One network of a service as an endpoint of one of its containers. */
export function toEndpoint(key: string, service: Service, context: SpecContext, primary: boolean): EndpointSpec {
  const config = service.networks?.[key] ?? undefined
  const network = context.project.networks?.[key]
  if (!network) throw new TcomposeError('INVALID', `service ${context.service} refers to undefined network ${key}`)
  const mac = config?.mac_address ?? (primary ? service.mac_address : undefined)
  return {
    network: network.name ?? key,
    aliases: [context.name, ...(context.aliases ? [context.service, ...(config?.aliases ?? [])] : [])],
    links: toLinks(service, context),
    ...(config?.ipv4_address ? { ipv4Address: config.ipv4_address } : {}),
    ...(config?.ipv6_address ? { ipv6Address: config.ipv6_address } : {}),
    ...(config?.link_local_ips ? { linkLocalIps: config.link_local_ips } : {}),
    ...(mac ? { macAddress: mac } : {}),
    ...(config?.gw_priority === undefined ? {} : { gwPriority: Number(config.gw_priority) }),
    ...(config?.interface_name ? { interfaceName: config.interface_name } : {}),
    ...(config?.driver_opts
      ? {
          driverOpts: Object.fromEntries(
            Object.entries(config.driver_opts).map(([name, value]) => [name, String(value)]),
          ),
        }
      : {}),
  }
}

/** A link gives the linked containers the alias, `<service>-<n>` and their whole name. */
function toLinks(service: Service, context: SpecContext): readonly string[] {
  const links: string[] = []
  for (const text of service.links ?? []) {
    const [target = '', alias = target] = text.split(':')
    for (const one of context.linkedContainers(target)) {
      links.push(
        `${one.name}:${alias}`,
        `${one.name}:${target}-${one.number}`,
        `${one.name}:${context.project.name}-${target}-${one.number}`,
      )
    }
  }
  for (const text of service.external_links ?? []) {
    const [target = '', alias = target] = text.split(':')
    links.push(`${target}:${alias}`)
  }
  return links
}

export function toNamespaces(service: Service, context: SpecContext): NamespaceSpec {
  const resolve = (mode: string | null | undefined, purpose: string): string => {
    if (!mode) return ''
    if (mode.startsWith('service:')) return `container:${context.containerOf(mode.slice('service:'.length), purpose)}`
    return mode
  }
  return {
    pid: resolve(service.pid, 'PID namespace'),
    ipc: resolve(service.ipc, 'IPC namespace'),
    uts: resolve(service.uts, 'UTS namespace'),
    cgroup: service.cgroup ?? '',
    user: service.userns_mode ?? '',
  }
}

/** Services whose containers must be there before this one's: those whose namespaces or volumes it shares. */
export function sharedServices(service: Service): readonly string[] {
  const modes = [service.network_mode, service.pid, service.ipc, service.uts]
  return [
    ...modes.flatMap((mode) => (mode?.startsWith('service:') ? [mode.slice('service:'.length)] : [])),
    ...(service.volumes_from ?? []).flatMap((text) => {
      const [name = ''] = text.split(':')
      return name === 'container' ? [] : [name]
    }),
  ]
}
