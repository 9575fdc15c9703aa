import { TcomposeError } from '../../base/errors.ts'
import type { ProcessIdentity } from '../../platform/process.ts'
import type { Database, Row } from '../state/database.ts'
import type { ContainerSpec } from './spec.ts'
import type { ContainerConfig, ContainerEndpoint, ContainerMount, ContainerState, PublishedPort } from './types.ts'

/** The `record` column: what create decided. Changed only by rename, update, connect and disconnect. */
export interface StoredRecord {
  readonly createdAt: string
  readonly spec: ContainerSpec
  readonly config: ContainerConfig
  readonly args: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  readonly mounts: readonly ContainerMount[]
  readonly logPath: string
  /** Networks in the order they were asked for: the table keeps none. */
  readonly networkOrder: readonly string[]
}

/** The `state` column. */
export interface StoredState extends ContainerState {
  /** Boot in which the processes named here lived. */
  readonly bootId: string
  /** A step under way; with `holder` dead it was cut short, and `reconcile` undoes or finishes it. */
  readonly phase?: 'creating' | 'starting' | 'removing' | undefined
  readonly holder?: ProcessIdentity | undefined
  /** Status to go back to when a start was cut short. */
  readonly before?: 'created' | 'exited' | undefined
  /** Its end is the first half of a restart: neither auto-removal nor policy may act on it. */
  readonly restartUnderWay?: boolean | undefined
}

export interface StoredContainer {
  readonly id: string
  readonly name: string
  readonly imageId: string
  readonly record: StoredRecord
  readonly state: StoredState
  readonly endpoints: readonly ContainerEndpoint[]
  readonly ports: readonly PublishedPort[]
}

const COLUMNS = `
  c.id, c.name, c.image_id, c.record, c.state,
  (SELECT json_group_array(json(e.record)) FROM endpoints e WHERE e.container_id = c.id) AS endpoints,
  (SELECT json_group_array(json_array(p.container_port, p.protocol, p.host_ip, p.host_port))
     FROM ports p WHERE p.container_id = c.id) AS ports`

export const INITIAL_STATE: Omit<StoredState, 'bootId'> = {
  status: 'created',
  pid: 0,
  pidStart: '',
  shimPid: 0,
  shimStart: '',
  exitCode: 0,
  oomKilled: false,
  error: '',
  startedAt: '',
  finishedAt: '',
  restartCount: 0,
  stoppedByUser: false,
  health: undefined,
}

/** Reads and writes rows of `containers`; short, synchronous, without any look at processes. */
export interface ContainerStore {
  /** @throws TcomposeError CONFLICT when the name is taken */
  insert(id: string, name: string, imageId: string, record: StoredRecord, state: StoredState): void
  byId(id: string): StoredContainer | undefined
  /** By name, id or unique id prefix. @throws TcomposeError INVALID for an ambiguous prefix */
  resolve(ref: string): StoredContainer | undefined
  all(where?: { readonly project?: string | undefined }): readonly StoredContainer[]
  setState(id: string, state: StoredState): void
  setRecord(id: string, record: StoredRecord): void
  setName(id: string, name: string): void
  delete(id: string): void
}

export function createContainerStore(db: Database): ContainerStore {
  const byId = (id: string): StoredContainer | undefined => {
    const row = db.one(`SELECT ${COLUMNS} FROM containers c WHERE c.id = ?`, id)
    return row && parse(row)
  }
  return {
    insert(id, name, imageId, record, state) {
      const project = record.labels['com.docker.compose.project'] ?? null
      db.transaction(() => {
        assertNameFree(db, name)
        db.run(
          'INSERT INTO containers (id, name, image_id, project, record, state) VALUES (?, ?, ?, ?, ?, ?)',
          id,
          name,
          imageId,
          project,
          JSON.stringify(record),
          JSON.stringify(state),
        )
      })
    },
    byId,
    resolve(given) {
      const ref = given.replace(/^\//, '')
      if (ref === '') return undefined
      const row = db.one(
        `SELECT ${COLUMNS} FROM containers c WHERE c.id = ?1 OR c.name = ?1 ORDER BY c.id = ?1 DESC`,
        ref,
      )
      if (row) return parse(row)
      if (!/^[0-9a-f]{1,64}$/.test(ref)) return undefined
      const ids = db.all('SELECT id FROM containers WHERE id >= ? AND id < ? LIMIT 2', ref, `${ref}g`)
      if (ids.length > 1) throw new TcomposeError('INVALID', `multiple containers found with provided prefix: ${ref}`)
      return ids[0] && byId(ids[0].id as string)
    },
    all(where = {}) {
      const rows =
        where.project === undefined
          ? db.all(`SELECT ${COLUMNS} FROM containers c`)
          : db.all(`SELECT ${COLUMNS} FROM containers c WHERE c.project = ?`, where.project)
      return rows.map(parse)
    },
    setState: (id, state) => void db.run('UPDATE containers SET state = ? WHERE id = ?', JSON.stringify(state), id),
    setRecord: (id, record) => void db.run('UPDATE containers SET record = ? WHERE id = ?', JSON.stringify(record), id),
    setName(id, name) {
      db.transaction(() => {
        assertNameFree(db, name)
        db.run('UPDATE containers SET name = ? WHERE id = ?', name, id)
      })
    },
    delete: (id) => void db.run('DELETE FROM containers WHERE id = ?', id),
  }
}

function assertNameFree(db: Database, name: string): void {
  const owner = db.one('SELECT id FROM containers WHERE name = ?', name)?.id
  if (owner === undefined) return
  throw new TcomposeError(
    'CONFLICT',
    `Conflict. The container name "/${name}" is already in use by container "${owner}". ` +
      'You have to remove (or rename) that container to be able to reuse that name.',
  )
}

function parse(row: Row): StoredContainer {
  const record = JSON.parse(row.record as string) as StoredRecord
  const endpoints = JSON.parse(row.endpoints as string) as ContainerEndpoint[]
  const order = new Map(record.networkOrder.map((id, index) => [id, index]))
  const place = (endpoint: ContainerEndpoint): number => order.get(endpoint.networkId) ?? order.size
  return {
    id: row.id as string,
    name: row.name as string,
    imageId: row.image_id as string,
    record,
    state: JSON.parse(row.state as string) as StoredState,
    endpoints: endpoints.toSorted((a, b) => place(a) - place(b)),
    ports: (JSON.parse(row.ports as string) as [number, PublishedPort['protocol'], string, number][]).map(
      ([containerPort, protocol, hostIp, hostPort]) => ({ containerPort, protocol, hostIp, hostPort }),
    ),
  }
}
