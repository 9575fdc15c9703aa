import { TcomposeError } from '../../base/errors.ts'
import { ip } from '../../platform/ip.ts'
import { withLock } from '../../platform/lock.ts'
import { interfaceNames } from '../../platform/routes.ts'
import type { ContainerEndpoint } from '../containers/types.ts'
import { ensureBridge, HOST_LOCK, type NetworkContext, optionsOf, portElements, portEndpoint } from './context.ts'
import { type Attachment, arrivalName, attachCommands, deleteLinks, hostLinkPrefix, newHostName } from './links.ts'
import { primaryEndpoint } from './ports.ts'
import type { AttachRequest, ContainerInterface } from './types.ts'

/** Host side of a container's start: its interfaces arrive in its namespace, its ports lead to it. */
export async function attach(context: NetworkContext, request: AttachRequest): Promise<readonly ContainerInterface[]> {
  const { store, firewall } = context
  const { containerId, pid } = request
  if (request.endpoints.length === 0) return []
  const attachments = request.endpoints.map((endpoint) => attachmentOf(context, request, endpoint))
  const all = store.endpointsOf(containerId)
  const elements = portElements(request.ports, portEndpoint(store, all))
  try {
    await Promise.all([insertLinks(context, attachments), firewall.add(elements)])
  } catch (error) {
    await deleteLinks(attachments.map((one) => one.hostName)).catch(() => {})
    await firewall.remove(elements).catch(() => {})
    throw error
  }
  const primary = primaryEndpoint(all, store.byId)
  const taken = new Set(interfaceNames(pid))
  return attachments.map((attachment) => {
    const name = interfaceName(attachment, taken)
    taken.add(name)
    return describe(attachment, name, attachment.endpoint.networkId === primary?.networkId)
  })
}

function attachmentOf(context: NetworkContext, request: AttachRequest, endpoint: ContainerEndpoint): Attachment {
  const network = context.store.byId(endpoint.networkId)
  if (!network) throw new TcomposeError('NOT_FOUND', `network ${endpoint.networkName} not found`)
  const { containerId, pid } = request
  const hostName = newHostName(containerId, network.id)
  return { containerId, pid, network, options: optionsOf(network), endpoint, hostName }
}

/** Usually one write to `ip`. What is in the way, or missing, is put right and it is tried once more. */
async function insertLinks(context: NetworkContext, attachments: readonly Attachment[]): Promise<void> {
  try {
    await ip(attachments.flatMap(attachCommands))
  } catch {
    // A bridge that was taken away.
    await deleteLinks(attachments.map((one) => one.hostName))
    await withLock(HOST_LOCK.scope, HOST_LOCK.name, async () => {
      for (const { network } of attachments) await ensureBridge(context, network)
    })
    await ip(attachments.flatMap(attachCommands))
  }
}

function interfaceName(attachment: Attachment, taken: ReadonlySet<string>): string {
  const wanted = attachment.endpoint.spec.interfaceName ?? ifnameOption(attachment.endpoint)
  if (wanted !== undefined) {
    if (taken.has(wanted)) throw new TcomposeError('CONFLICT', `the container already has an interface ${wanted}`)
    return wanted
  }
  for (let number = 0; ; number++) {
    const name = `${attachment.options.interfacePrefix}${number}`
    if (!taken.has(name)) return name
  }
}

function ifnameOption(endpoint: ContainerEndpoint): string | undefined {
  return endpoint.spec.driverOpts?.['com.docker.network.endpoint.ifname'] || undefined
}

function describe(attachment: Attachment, name: string, isPrimary: boolean): ContainerInterface {
  const { endpoint, network, options } = attachment
  const gateways = [endpoint.ipv4 === '' ? '' : network.ipv4Gateway, endpoint.ipv6 === '' ? '' : network.ipv6Gateway]
  const hasGateway = isPrimary && !options.noGateway && (network.driver === 'bridge' || options.parent !== '')
  return {
    temporaryName: arrivalName(attachment),
    name,
    macAddress: endpoint.macAddress,
    addresses: [
      ...(endpoint.ipv4 === '' ? [] : [`${endpoint.ipv4}/${endpoint.ipv4PrefixLength}`]),
      ...(endpoint.ipv6 === '' ? [] : [`${endpoint.ipv6}/${endpoint.ipv6PrefixLength}`]),
      ...(endpoint.spec.linkLocalIps ?? []).map((address) => `${address}/${address.includes(':') ? 64 : 16}`),
    ],
    gateways: hasGateway ? gateways.filter((gateway) => gateway !== '') : [],
    mtu: options.mtu,
  }
}

/** Takes a container's links and the redirection of its ports away, as the records of both still say. Idempotent. */
export async function detach(context: NetworkContext, containerId: string): Promise<void> {
  const { store, firewall } = context
  const endpoints = store.endpointsOf(containerId)
  const elements = portElements(store.portsOf(containerId), portEndpoint(store, endpoints))
  await Promise.all([firewall.remove(elements), deletePresent(containerId, endpoints)])
}

/** Deletes those host links that are (still) there: usually they went with the container's namespace. */
async function deletePresent(containerId: string, endpoints: readonly ContainerEndpoint[]): Promise<void> {
  if (endpoints.length === 0) return
  const prefixes = endpoints.map((one) => hostLinkPrefix(containerId, one.networkId))
  await deleteLinks(interfaceNames().filter((name) => prefixes.some((prefix) => name.startsWith(prefix))))
}

/** Gives the addresses of one or all networks back; on a running container its links and ports go with them. */
export async function release(context: NetworkContext, containerId: string, networkId?: string): Promise<void> {
  const { store, firewall } = context
  const before = store.endpointsOf(containerId)
  const leaving = before.filter((endpoint) => networkId === undefined || endpoint.networkId === networkId)
  if (leaving.length === 0) return
  const staying = before.filter((endpoint) => !leaving.includes(endpoint))
  const ports = store.portsOf(containerId)
  const from = portEndpoint(store, before)
  const to = portEndpoint(store, staying)
  if (from?.networkId !== to?.networkId) {
    await firewall.remove(portElements(ports, from))
    await firewall.add(portElements(ports, to))
  }
  await deletePresent(containerId, leaving)
  store.deleteEndpoints(containerId, networkId)
}
