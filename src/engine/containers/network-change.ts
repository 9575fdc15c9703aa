import { TcomposeError } from '../../base/errors.ts'
import { connectShim } from '../../runtime/shim-client.ts'
import { bundleOf, type ContainerContext, lockContainer } from './deps.ts'
import { endpointNames } from './endpoints.ts'
import { refreshHosts } from './network-files.ts'
import { settleLocked } from './settle.ts'
import type { EndpointSpec } from './spec.ts'
import type { StoredContainer } from './store.ts'

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
      const interfaces = await networks.attach({
        containerId: id,
        pid: stored.state.shimPid,
        endpoints: [made],
        ports: [],
      })
      await using connection = await connectShim(bundleOf(context, id))
      await connection.configureInterfaces(interfaces)
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
