import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { errnoOf, TcomposeError } from '../../base/errors.ts'
import type { PortSpec } from '../containers/spec.ts'
import type { Database } from '../state/database.ts'
import type { AttachRequest } from './types.ts'

type Chosen = AttachRequest['ports'][number]

const EPHEMERAL_FIRST = 32768
const EPHEMERAL_LAST = 60999
const TRIES = 200

/**
 * Decides the host ports of a container that is about to start, and records them as its own. Fixed ones are checked
 * against other containers' here; whether another program has one is seen by the shim, which binds and holds them.
 * @throws TcomposeError CONFLICT in Docker's words
 */
export async function chooseHostPorts(
  db: Database,
  containerId: string,
  ports: readonly PortSpec[],
): Promise<readonly Chosen[]> {
  const chosen: Chosen[] = []
  db.run('DELETE FROM ports WHERE container_id = ?', containerId)
  for (const port of ports) {
    const last = port.hostPortEnd ?? port.hostPort
    if (port.hostPort !== 0 && last === port.hostPort) {
      if (!claim(db, containerId, port, port.hostPort)) throw taken(port, port.hostPort)
      chosen.push(made(port, port.hostPort))
      continue
    }
    const found = await claimFree(db, containerId, port, last)
    if (found === undefined) throw taken(port, port.hostPort)
    chosen.push(made(port, found))
  }
  return chosen
}

export function releaseHostPorts(db: Database, containerId: string): void {
  db.run('DELETE FROM ports WHERE container_id = ?', containerId)
}

function made(port: PortSpec, hostPort: number): Chosen {
  return { containerPort: port.containerPort, protocol: port.protocol, hostIp: port.hostIp, hostPort }
}

function taken(port: PortSpec, hostPort: number): TcomposeError {
  return new TcomposeError(
    'CONFLICT',
    `Bind for ${port.hostIp || '0.0.0.0'}:${hostPort} failed: port is already allocated`,
    {
      hint: 'stop the container that publishes it, or change the host port',
    },
  )
}

/** Two addresses collide if they are equal or one of them means all. */
function claim(db: Database, containerId: string, port: PortSpec, hostPort: number): boolean {
  return db.transaction(() => {
    const others = db.all(
      'SELECT host_ip, container_id FROM ports WHERE protocol = ? AND host_port = ?',
      port.protocol,
      hostPort,
    )
    const everywhere = (ip: string): boolean => ip === '' || ip === '0.0.0.0' || ip === '::'
    if (
      others.some(
        (other) => other.host_ip === port.hostIp || everywhere(other.host_ip as string) || everywhere(port.hostIp),
      )
    )
      return false
    db.run(
      'INSERT INTO ports (container_id, protocol, host_ip, host_port, container_port) VALUES (?, ?, ?, ?, ?)',
      containerId,
      port.protocol,
      port.hostIp,
      hostPort,
      port.containerPort,
    )
    return true
  })
}

async function claimFree(db: Database, containerId: string, port: PortSpec, last: number): Promise<number | undefined> {
  const first = port.hostPort
  const candidates =
    first === 0
      ? Array.from(
          { length: TRIES },
          () => EPHEMERAL_FIRST + Math.floor(Math.random() * (EPHEMERAL_LAST - EPHEMERAL_FIRST)),
        )
      : Array.from({ length: last - first + 1 }, (_, index) => first + index)
  for (const candidate of candidates) {
    if ((await isFree(port, candidate)) && claim(db, containerId, port, candidate)) return candidate
  }
  return undefined
}

function isFree(port: PortSpec, hostPort: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      const code = errnoOf(error)
      if (code === 'EADDRINUSE' || code === 'EACCES') resolve(false)
      else if (code === 'EADDRNOTAVAIL')
        reject(new TcomposeError('INVALID', `cannot bind to ${port.hostIp}: it is no address of this host`))
      else reject(error)
    }
    if (port.protocol === 'udp') {
      const socket = createSocket(port.hostIp.includes(':') ? 'udp6' : 'udp4')
      socket.once('error', onError)
      socket.bind({ port: hostPort, address: port.hostIp || '0.0.0.0', exclusive: true }, () =>
        socket.close(() => resolve(true)),
      )
    } else {
      const server = createServer()
      server.once('error', onError)
      server.listen({ port: hostPort, host: port.hostIp || '0.0.0.0', exclusive: true }, () =>
        server.close(() => resolve(true)),
      )
    }
  })
}
