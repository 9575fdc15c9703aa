import { shortId } from '../../base/digest.ts'
import type { ContainerContext } from './deps.ts'

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
