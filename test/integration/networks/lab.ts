import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomId } from '../../../src/base/id.ts'
import type { EndpointSpec, PortSpec } from '../../../src/engine/containers/spec.ts'
import type { ContainerEndpoint } from '../../../src/engine/containers/types.ts'
import type { AttachRequest, ContainerInterface, Networks } from '../../../src/engine/networks/types.ts'
import { type LabProcess, startLabProcess } from './lab-process.ts'

/** A process that stands for a container: a namespace with the interfaces the engine put there. */
export interface LabContainer {
  readonly id: string
  readonly process: LabProcess
  readonly endpoints: readonly ContainerEndpoint[]
  readonly interfaces: readonly ContainerInterface[]
  readonly ports: AttachRequest['ports']
}

/** A host in a namespace of its own, with engines on it. */
export interface Lab extends AsyncDisposable {
  readonly host: LabProcess
  readonly base: string
  /** The networks of a state root on that host. */
  networks(root?: string): Networks
  /** Makes a container on networks, with published ports, and starts it. */
  container(options: {
    readonly on: readonly (string | EndpointSpec)[]
    readonly ports?: readonly Partial<PortSpec>[]
    readonly names?: readonly string[]
    readonly root?: string
  }): Promise<LabContainer>
  /** Another machine: `address` on a wire of its own with the host, which has `gateway` there. */
  remote(address: string, gateway: string): Promise<LabProcess>
  /** Ends the namespace of a container and takes it off its networks, as a stop does. */
  stop(container: LabContainer, root?: string): Promise<void>
}

export async function createLab(): Promise<Lab> {
  const base = mkdtempSync(join(tmpdir(), 'tcn-'))
  const host = await startLabProcess('lab-host.ts', [])
  await host.call('ip', ['link set lo up'])
  const processes: LabProcess[] = []
  const defaultRoot = join(base, 'a')
  const networks = (root = defaultRoot): Networks =>
    new Proxy({} as Networks, {
      get: (_, method) =>
        method === 'then' ? undefined : (...values: unknown[]) => host.call('networks', root, method, values),
    })
  const peer = async (): Promise<LabProcess> => {
    const started = await startLabProcess('lab-peer.ts', [])
    processes.push(started)
    await started.call('ip', ['link set lo up'])
    return started
  }
  return {
    base,
    host,
    networks,
    async container({ on, ports = [], names = [], root = defaultRoot }) {
      const id = randomId()
      const own = networks(root)
      await host.call('addContainer', root, id)
      const endpoints: ContainerEndpoint[] = []
      for (const network of on) {
        const spec = typeof network === 'string' ? { network } : network
        endpoints.push(await own.allocate(id, spec, [...names, id.slice(0, 12)]))
      }
      const wanted = ports.map(
        (port) => ({ containerPort: 80, protocol: 'tcp', hostIp: '', hostPort: 0, ...port }) as const,
      )
      const chosen = await own.choosePorts(id, wanted)
      const process = await peer()
      const interfaces = await own.attach({ containerId: id, pid: process.pid, endpoints, ports: chosen })
      await process.call('ip', interfaces.flatMap(configure))
      return { id, process, endpoints, interfaces, ports: chosen }
    },
    async remote(address, gateway) {
      const process = await peer()
      const name = `out${processes.length}`
      await host.call('ip', [
        `link add ${name} type veth peer name eth0 netns ${process.pid}`,
        `addr add ${gateway} dev ${name}`,
        `link set ${name} up`,
      ])
      await process.call('ip', [
        `addr add ${address} dev eth0${address.includes(':') ? ' nodad' : ''}`,
        'link set eth0 up',
        `route add default via ${gateway.split('/')[0]}`,
      ])
      return process
    },
    async stop(container, root) {
      await container.process.end()
      await networks(root).detach(container.id)
      await host.call('sql', root ?? defaultRoot, 'DELETE FROM ports WHERE container_id = ?', container.id)
    },
    async [Symbol.asyncDispose]() {
      for (const process of processes) await process.end()
      await host.end()
      rmSync(base, { recursive: true, force: true })
    },
  }
}

/** What the shim does with an interface. */
export function configure(one: ContainerInterface): readonly string[] {
  return [
    `link set ${one.temporaryName} name ${one.name} mtu ${one.mtu}`,
    ...one.addresses.map((address) => `addr add ${address} dev ${one.name}${address.includes(':') ? ' nodad' : ''}`),
    `link set ${one.name} up`,
    ...one.gateways.map((gateway) => `route add default via ${gateway} dev ${one.name}`),
  ]
}
