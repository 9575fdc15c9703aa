import { shortId } from '../../base/digest.ts'
import { TcomposeError } from '../../base/errors.ts'
import type { ContainerEndpoint } from '../containers/types.ts'
import type { Database } from '../state/database.ts'
import type { Network } from './types.ts'

/** Networks that are there without a record: containers on them have no endpoint of ours. */
export const HOST_NETWORK = virtual('host', 'f'.repeat(63).concat('0'))
export const NONE_NETWORK = virtual('none', 'e'.repeat(63).concat('0'))
/** The engine's default network: made when first used. */
export const BRIDGE_NAME = 'bridge'

function virtual(name: 'host' | 'none', id: string): Network {
  return {
    id,
    name,
    createdAt: '0001-01-01T00:00:00Z',
    driver: name === 'none' ? 'null' : name,
    spec: { name, driver: name },
    labels: {},
    bridge: '',
    ipv4Subnet: '',
    ipv4Gateway: '',
    ipv6Subnet: '',
    ipv6Gateway: '',
  }
}

export function allNetworks(db: Database): readonly Network[] {
  return db.all('SELECT record FROM networks ORDER BY name').map((row) => JSON.parse(row.record as string) as Network)
}

/** By name, id, or a unique id prefix. @throws TcomposeError CONFLICT for an ambiguous prefix */
export function findNetwork(db: Database, ref: string): Network | undefined {
  for (const fixed of [HOST_NETWORK, NONE_NETWORK]) if (ref === fixed.name || ref === fixed.id) return fixed
  const exact = db.one('SELECT record FROM networks WHERE name = ? OR id = ?', ref, ref)
  if (exact) return JSON.parse(exact.record as string) as Network
  if (!/^[0-9a-f]{3,64}$/.test(ref)) return undefined
  const rows = db.all("SELECT record FROM networks WHERE id LIKE ? || '%'", ref)
  if (rows.length > 1)
    throw new TcomposeError('CONFLICT', `network ${ref} is ambiguous (${rows.length} matches found on id prefix)`)
  return rows[0] === undefined ? undefined : (JSON.parse(rows[0].record as string) as Network)
}

export function notFound(ref: string): TcomposeError {
  return new TcomposeError('NOT_FOUND', `network ${ref} not found`)
}

export function endpointsOf(
  db: Database,
  networkId: string,
): readonly { readonly containerId: string; readonly endpoint: ContainerEndpoint }[] {
  return db.all('SELECT container_id, record FROM endpoints WHERE network_id = ?', networkId).map((row) => ({
    containerId: row.container_id as string,
    endpoint: JSON.parse(row.record as string) as ContainerEndpoint,
  }))
}

/** Docker's name of a bridge, unless the driver option names it. */
export function bridgeName(id: string, option: string | undefined): string {
  return option ?? `br-${shortId(id)}`
}
