import { shortId } from '../../base/digest.ts'
import type { ContainerContext } from './deps.ts'
import type { ContainerEndpoint } from './types.ts'

/** The names by which DNS answers for a container on a network, besides the aliases that were asked for. */
export function endpointNames(name: string, id: string, hostname: string): readonly string[] {
  return [...new Set([name, shortId(id), ...(hostname === '' ? [] : [hostname])])]
}

/** Undoes `attach`, for a container that is on networks at all: the others need not load that part. */
export async function detachEndpoints(context: ContainerContext, id: string): Promise<void> {
  if (hasEndpoints(context, id)) await (await context.networks()).detach(id)
}

/** Gives its addresses back. */
export async function releaseEndpoints(context: ContainerContext, id: string): Promise<void> {
  if (hasEndpoints(context, id)) await (await context.networks()).release(id)
}

function hasEndpoints(context: ContainerContext, id: string): boolean {
  return context.db.one('SELECT 1 FROM endpoints WHERE container_id = ? LIMIT 1', id) !== undefined
}

/** After a rename its endpoints answer to the new name; on the default network they have none. */
export function renameEndpoints(context: ContainerContext, id: string, from: string, to: string): void {
  const { db } = context
  for (const row of db.all('SELECT network_id, record FROM endpoints WHERE container_id = ?', id)) {
    const endpoint = JSON.parse(row.record as string) as ContainerEndpoint
    if (!endpoint.dnsNames.includes(from)) continue
    // An alias of the same text was asked for and stays.
    const keeps = endpoint.spec.aliases?.includes(from) ?? false
    const others = endpoint.dnsNames.filter((name) => name !== to && (keeps || name !== from))
    const record = JSON.stringify({ ...endpoint, dnsNames: [to, ...others] })
    db.run(
      'UPDATE endpoints SET record = ? WHERE container_id = ? AND network_id = ?',
      record,
      id,
      row.network_id as string,
    )
  }
}
