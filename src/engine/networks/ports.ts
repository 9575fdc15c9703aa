import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { errnoOf, TcomposeError } from '../../base/errors.ts'
import type { PortSpec } from '../containers/spec.ts'
import type { ContainerEndpoint } from '../containers/types.ts'
import type { NetworkStore, StoredPort } from './records.ts'
import type { Network } from './types.ts'

/** Attempts to find a free port before giving up: others may take those the kernel has just offered. */
const MAX_ATTEMPTS = 20

/**
 * Chooses the host ports of a container and writes them to its `ports` rows. Ports of programs that are not ours show
 * when the shim binds: only where there is a choice it is tried here.
 * @param hostBinding address for ports without one
 * @throws TcomposeError CONFLICT
 */
export async function choosePorts(
  store: NetworkStore,
  containerId: string,
  specs: readonly PortSpec[],
  hostBinding: string,
): Promise<readonly StoredPort[]> {
  const wanted = specs.map((spec) => ({ ...spec, hostIp: normalHost(spec.hostIp || hostBinding) }))
  for (let attempt = 0; ; attempt++) {
    const offered = new Map<PortSpec, number>()
    for (const spec of wanted) {
      if (spec.hostPort === 0) offered.set(spec, await offeredPort(spec))
      else if (spec.hostPortEnd !== undefined) offered.set(spec, await portOfRange(store, containerId, spec, offered))
    }
    try {
      return store.transaction(() => {
        store.deletePorts(containerId)
        return wanted.map((spec) => {
          const port: StoredPort = {
            containerId,
            protocol: spec.protocol,
            hostIp: spec.hostIp,
            hostPort: offered.get(spec) ?? spec.hostPort,
            containerPort: spec.containerPort,
          }
          requireFree(store, port)
          store.insertPort(port)
          return port
        })
      })
    } catch (error) {
      const mayChoose = offered.size > 0 && attempt < MAX_ATTEMPTS
      if (!(error instanceof TakenError) || !mayChoose || !offered.has(error.spec(wanted))) throw conflictOf(error)
    }
  }
}

class TakenError extends Error {
  readonly port: StoredPort
  constructor(port: StoredPort) {
    super('taken')
    this.port = port
  }
  /** The request that led to the port. */
  spec(wanted: readonly PortSpec[]): PortSpec {
    const { containerPort, protocol, hostIp, hostPort } = this.port
    const own = wanted.filter(
      (spec) => spec.containerPort === containerPort && spec.protocol === protocol && spec.hostIp === hostIp,
    )
    return (own.find((spec) => spec.hostPort === hostPort) ?? own[0]) as PortSpec
  }
}

function conflictOf(error: unknown): unknown {
  if (!(error instanceof TakenError)) return error
  const { hostIp, hostPort } = error.port
  const host = hostIp === '' ? '0.0.0.0' : hostIp.includes(':') ? `[${hostIp}]` : hostIp
  return new TcomposeError('CONFLICT', `Bind for ${host}:${hostPort} failed: port is already allocated`, {
    hint: 'another container publishes it: stop that one or change the host port',
  })
}

/** `0.0.0.0` stays: it means IPv4 alone. */
function normalHost(host: string): string {
  return host === '[::]' ? '::' : host.replace(/^\[(.*)\]$/, '$1')
}

function requireFree(store: NetworkStore, port: StoredPort): void {
  const taken = store
    .ports()
    .some((other) => other.protocol === port.protocol && other.hostPort === port.hostPort && meet(other, port))
  if (taken) throw new TakenError(port)
}

function meet(one: StoredPort, other: StoredPort): boolean {
  const a = one.hostIp
  const b = other.hostIp
  if (a === '' || b === '' || a === b) return true
  if (a.includes(':') !== b.includes(':')) return false
  return isWildcard(a) || isWildcard(b)
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

async function portOfRange(
  store: NetworkStore,
  containerId: string,
  spec: PortSpec,
  offered: ReadonlyMap<PortSpec, number>,
): Promise<number> {
  const others = store.ports().filter((port) => port.containerId !== containerId)
  const mine = [...offered].filter(([one]) => one.protocol === spec.protocol).map(([, port]) => port)
  for (let hostPort = spec.hostPort; hostPort <= (spec.hostPortEnd ?? spec.hostPort); hostPort++) {
    const port: StoredPort = { ...spec, containerId, hostPort }
    const taken = others.some(
      (other) => other.protocol === port.protocol && other.hostPort === hostPort && meet(other, port),
    )
    if (taken || mine.includes(hostPort)) continue
    if ((await tryPort({ ...spec, hostPort })) !== undefined) return hostPort
  }
  const host = spec.hostIp === '' ? '0.0.0.0' : spec.hostIp
  throw new TcomposeError(
    'CONFLICT',
    `Bind for ${host}:${spec.hostPort}-${spec.hostPortEnd} failed: all ports are allocated`,
    { hint: 'widen the range of host ports or stop what uses them' },
  )
}

async function offeredPort(spec: PortSpec): Promise<number> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const port = await tryPort(spec)
    if (port !== undefined) return port
  }
  throw new TcomposeError('UNAVAILABLE', `no free host port for container port ${spec.containerPort}/${spec.protocol}`)
}

/** Binds it for a moment; the number it got, or undefined when it is taken. @throws TcomposeError INVALID for an address that is not the host's */
async function tryPort(spec: PortSpec): Promise<number | undefined> {
  // sctp has no sockets in Node; its numbers are its own, and seldom used.
  const bind = spec.protocol === 'udp' ? bindUdp : bindTcp
  const { hostIp } = spec
  if (hostIp !== '') return await bind(hostIp, spec.hostPort, hostIp)
  const port = await bind('0.0.0.0', spec.hostPort, hostIp)
  if (port === undefined) return undefined
  try {
    return await bind('::', port, hostIp)
  } catch (error) {
    if (errnoOf(error) === 'EAFNOSUPPORT') return port
    throw error
  }
}

function bindTcp(host: string, port: number, named: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', (error) => settleFailure(error, named, resolve, reject))
    server.listen({ host, port, exclusive: true, ipv6Only: true }, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' ? address?.port : undefined))
    })
  })
}

function bindUdp(host: string, port: number, named: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    // With an IPv4 socket `ipv6Only` fails as EINVAL.
    const socket = createSocket(host.includes(':') ? { type: 'udp6', ipv6Only: true } : { type: 'udp4' })
    socket.on('error', (error) => {
      socket.close()
      settleFailure(error, named, resolve, reject)
    })
    socket.bind({ address: host, port, exclusive: true }, () => {
      const bound = socket.address().port
      socket.close(() => resolve(bound))
    })
  })
}

function settleFailure(
  error: Error,
  host: string,
  resolve: (port: undefined) => void,
  reject: (error: unknown) => void,
): void {
  const errno = errnoOf(error)
  if (errno === 'EADDRINUSE') resolve(undefined)
  else if (errno === 'EADDRNOTAVAIL' && host !== '') {
    reject(
      new TcomposeError('INVALID', `cannot publish a port on ${host}: the host has no such address`, { cause: error }),
    )
  } else if (errno === 'EADDRNOTAVAIL') {
    reject(Object.assign(new Error('no IPv6'), { code: 'EAFNOSUPPORT' }))
  } else reject(error)
}

/**
 * The endpoint through which a container reaches the world, and at which its published ports end: the highest
 * `gw_priority`, then the first by name of the network, as in Docker. Undefined when it has none that leads out.
 */
export function primaryEndpoint(
  endpoints: readonly ContainerEndpoint[],
  networkOf: (id: string) => Network | undefined,
): ContainerEndpoint | undefined {
  const outward = endpoints.filter((endpoint) => {
    const network = networkOf(endpoint.networkId)
    return network !== undefined && !network.spec.internal
  })
  return [...outward].sort(
    (one, other) =>
      (other.spec.gwPriority ?? 0) - (one.spec.gwPriority ?? 0) ||
      (one.networkName < other.networkName ? -1 : one.networkName > other.networkName ? 1 : 0),
  )[0]
}
