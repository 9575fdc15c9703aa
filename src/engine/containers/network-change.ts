import { readFileSync } from 'node:fs'
import { TcomposeError } from '../../base/errors.ts'
import { run } from '../../platform/exec.ts'
import { connectShim } from '../../runtime/shim-client.ts'
import { bundleOf, type ContainerContext, lockContainer } from './deps.ts'
import { endpointNames } from './endpoints.ts'
import { refreshHosts } from './network-files.ts'
import { settleLocked } from './settle.ts'
import type { EndpointSpec } from './spec.ts'
import type { StoredContainer } from './store.ts'
import type { ContainerEndpoint } from './types.ts'

/** Puts a container on one more network, at once when it runs. @throws TcomposeError CONFLICT when it is there */
export async function connectNetwork(context: ContainerContext, id: string, endpoint: EndpointSpec): Promise<void> {
  await using _lock = await lockContainer(context, id)
  const stored = await present(context, id)
  const { record } = stored
  if (record.spec.network.kind === 'host' || record.spec.network.kind === 'container') {
    throw new TcomposeError(
      'CONFLICT',
      `container sharing network namespace with ${whose(stored)} cannot be connected to any other network`,
    )
  }
  const networks = await context.networks()
  const network = await networks.get(endpoint.network)
  if (stored.endpoints.some((existing) => existing.networkId === network.id)) {
    throw new TcomposeError('CONFLICT', `endpoint with name ${stored.name} already exists in network ${network.name}`)
  }
  const made = await networks.allocate(id, endpoint, endpointNames(stored.name, id, record.config.hostname))
  try {
    if (isLive(stored)) {
      await attachLive(context, stored, made)
    }
  } catch (error) {
    await networks.release(id, network.id)
    throw error
  }
  const current = context.store.byId(id) ?? stored
  context.store.setRecord(id, { ...current.record, networkOrder: [...current.record.networkOrder, network.id] })
  await refreshIfMade(context, id)
  await emitNetwork(context, network, id, 'connect')
}

/** A new interface in a running container: the next free name, and no second default route beside the one it has. */
async function attachLive(context: ContainerContext, stored: StoredContainer, made: ContainerEndpoint): Promise<void> {
  const networks = await context.networks()
  const interfaceName = made.spec.interfaceName ?? freeName(stored.state.pid)
  const interfaces = await networks.attach({
    containerId: stored.id,
    pid: stored.state.shimPid,
    endpoints: [{ ...made, spec: { ...made.spec, interfaceName } }],
    ports: [],
  })
  const hasRoute = stored.endpoints.some((endpoint) => endpoint.ipv4Gateway !== '' || endpoint.ipv6Gateway !== '')
  await using connection = await connectShim(bundleOf(context, stored.id))
  await connection.configureInterfaces(hasRoute ? interfaces.map((one) => ({ ...one, gateways: [] })) : interfaces)
}

function freeName(pid: number): string {
  const taken = readFileSync(`/proc/${pid}/net/dev`, 'latin1')
  for (let number = 0; ; number++) {
    if (!new RegExp(`^\\s*eth${number}:`, 'm').test(taken)) return `eth${number}`
  }
}

/** After the network of the default route has gone, the next one that has a gateway takes over. */
async function moveDefaultRoute(stored: StoredContainer, left: string): Promise<void> {
  const gone = stored.endpoints.find((endpoint) => endpoint.networkId === left)
  const others = stored.endpoints.filter((endpoint) => endpoint.networkId !== left)
  for (const family of ['ipv4Gateway', 'ipv6Gateway'] as const) {
    const gateway = others.map((endpoint) => endpoint[family]).find((address) => address !== '')
    if (!gone?.[family] || gateway === undefined) continue
    const ip = ['ip', family === 'ipv4Gateway' ? '-4' : '-6', 'route']
    const enter = [`--net=/proc/${stored.state.pid}/ns/net`]
    const { stdout } = await run('nsenter', [...enter, ...ip, 'show', 'default'])
    if (stdout.trim() === '') await run('nsenter', [...enter, ...ip, 'add', 'default', 'via', gateway])
  }
}

/** @throws TcomposeError NOT_FOUND when it is not on that network */
export async function disconnectNetwork(context: ContainerContext, id: string, ref: string): Promise<void> {
  await using _lock = await lockContainer(context, id)
  const stored = await present(context, id)
  if (stored.record.spec.network.kind === 'host') {
    throw new TcomposeError(
      'CONFLICT',
      'container cannot be disconnected from host network or connected to host network',
    )
  }
  const networks = await context.networks()
  const network = await networks.get(ref)
  if (!stored.endpoints.some((existing) => existing.networkId === network.id)) {
    throw new TcomposeError('CONFLICT', `container ${stored.id} is not connected to network ${network.name}`)
  }
  await networks.release(id, network.id)
  if (isLive(stored)) await moveDefaultRoute(stored, network.id)
  const networkOrder = stored.record.networkOrder.filter((other) => other !== network.id)
  context.store.setRecord(id, { ...stored.record, networkOrder })
  await refreshIfMade(context, id)
  await emitNetwork(context, network, id, 'disconnect')
}

async function refreshIfMade(context: ContainerContext, id: string): Promise<void> {
  const current = context.store.byId(id)
  if (current && isLive(current)) await refreshHosts(context, current)
}

async function emitNetwork(
  context: ContainerContext,
  network: { readonly id: string; readonly name: string; readonly driver: string },
  container: string,
  action: string,
): Promise<void> {
  const events = await context.events()
  events.emit({
    type: 'network',
    action,
    actorId: network.id,
    attributes: { name: network.name, type: network.driver, container },
  })
}

async function present(context: ContainerContext, id: string): Promise<StoredContainer> {
  const stored = await settleLocked(context, id)
  if (!stored) throw new TcomposeError('NOT_FOUND', `No such container: ${id}`)
  return stored
}

function isLive(stored: StoredContainer): boolean {
  return stored.state.status === 'running' || stored.state.status === 'paused'
}

function whose(stored: StoredContainer): string {
  return stored.record.spec.network.kind === 'host' ? 'the host' : 'another container'
}
