import type { ContainerEndpoint, PublishedPort } from '../containers/types.ts'
import type { Database, Row } from '../state/database.ts'
import type { Network } from './types.ts'

/** Name of the engine's default network, which has no DNS names. */
export const DEFAULT_NETWORK = 'bridge'
export const PREDEFINED: readonly string[] = [DEFAULT_NETWORK, 'host', 'none']

export interface StoredEndpoint {
  readonly containerId: string
  readonly endpoint: ContainerEndpoint
}

export interface StoredPort extends PublishedPort {
  readonly containerId: string
}

/** Rows of `networks`, `endpoints` and `ports`; short and synchronous. */
export interface NetworkStore {
  all(): readonly Network[]
  byId(id: string): Network | undefined
  byName(name: string): Network | undefined
  /** By id, name, or unique prefix of an id. */
  resolve(ref: string): Network | undefined
  insert(network: Network): void
  update(network: Network): void
  delete(id: string): void
  endpoints(): readonly StoredEndpoint[]
  endpointsOf(containerId: string): readonly ContainerEndpoint[]
  /** Who is on a network, with the addresses they have. */
  usersOf(networkId: string): readonly { readonly containerId: string; readonly ipv4: string; readonly ipv6: string }[]
  insertEndpoint(containerId: string, endpoint: ContainerEndpoint): void
  deleteEndpoints(containerId: string, networkId?: string): void
  ports(): readonly StoredPort[]
  portsOf(containerId: string): readonly StoredPort[]
  insertPort(port: StoredPort): void
  deletePorts(containerId: string): void
  /** Calls of `work` see and make a state that nobody else changes meanwhile. */
  transaction<T>(work: () => T): T
}

export function createNetworkStore(db: Database): NetworkStore {
  const one = (sql: string, value: string): Network | undefined => {
    const row = db.one(sql, value)
    return row && networkOf(row)
  }
  const byId = (id: string) => one('SELECT record FROM networks WHERE id = ?', id)
  const byName = (name: string) => one('SELECT record FROM networks WHERE name = ?', name)
  const PORT_COLUMNS = 'container_id, protocol, host_ip, host_port, container_port'
  return {
    all: () => db.all('SELECT record FROM networks').map(networkOf),
    byId,
    byName,
    resolve(ref) {
      const found = byId(ref) ?? byName(ref)
      if (found || !/^[0-9a-f]{1,64}$/.test(ref)) return found
      const rows = db.all('SELECT record FROM networks WHERE id >= ? AND id < ? LIMIT 2', ref, `${ref}g`)
      return rows.length === 1 ? networkOf(rows[0] as Row) : undefined
    },
    insert(network) {
      db.run('INSERT INTO networks (id, name, record) VALUES (?, ?, ?)', network.id, network.name, json(network))
    },
    update(network) {
      db.run('UPDATE networks SET record = ? WHERE id = ?', json(network), network.id)
    },
    delete(id) {
      db.run('DELETE FROM networks WHERE id = ?', id)
    },
    endpoints: () =>
      db.all('SELECT container_id, record FROM endpoints').map((row) => ({
        containerId: row.container_id as string,
        endpoint: endpointOf(row),
      })),
    endpointsOf: (containerId) =>
      db.all('SELECT record FROM endpoints WHERE container_id = ?', containerId).map(endpointOf),
    usersOf: (networkId) =>
      db.all('SELECT container_id, ipv4, ipv6 FROM endpoints WHERE network_id = ?', networkId).map((row) => ({
        containerId: row.container_id as string,
        ipv4: (row.ipv4 as string | null) ?? '',
        ipv6: (row.ipv6 as string | null) ?? '',
      })),
    insertEndpoint(containerId, endpoint) {
      db.run(
        'INSERT INTO endpoints (network_id, container_id, ipv4, ipv6, mac, record) VALUES (?, ?, ?, ?, ?, ?)',
        endpoint.networkId,
        containerId,
        endpoint.ipv4 || null,
        endpoint.ipv6 || null,
        endpoint.macAddress || null,
        json(endpoint),
      )
    },
    deleteEndpoints(containerId, networkId) {
      if (networkId === undefined) db.run('DELETE FROM endpoints WHERE container_id = ?', containerId)
      else db.run('DELETE FROM endpoints WHERE container_id = ? AND network_id = ?', containerId, networkId)
    },
    ports: () => db.all(`SELECT ${PORT_COLUMNS} FROM ports`).map(portOf),
    portsOf: (containerId) =>
      db.all(`SELECT ${PORT_COLUMNS} FROM ports WHERE container_id = ?`, containerId).map(portOf),
    insertPort(port) {
      db.run(
        `INSERT INTO ports (${PORT_COLUMNS}) VALUES (?, ?, ?, ?, ?)`,
        port.containerId,
        port.protocol,
        port.hostIp,
        port.hostPort,
        port.containerPort,
      )
    },
    deletePorts(containerId) {
      db.run('DELETE FROM ports WHERE container_id = ?', containerId)
    },
    transaction: (work) => db.transaction(work),
  }
}

const json = (value: unknown): string => JSON.stringify(value)

function networkOf(row: Row): Network {
  return JSON.parse(row.record as string) as Network
}

function endpointOf(row: Row): ContainerEndpoint {
  return JSON.parse(row.record as string) as ContainerEndpoint
}

function portOf(row: Row): StoredPort {
  return {
    containerId: row.container_id as string,
    protocol: row.protocol as StoredPort['protocol'],
    hostIp: row.host_ip as string,
    hostPort: Number(row.host_port),
    containerPort: Number(row.container_port),
  }
}
