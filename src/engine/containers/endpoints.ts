import { shortId } from '../../base/digest.ts'

/** The names by which DNS answers for a container on a network, besides the aliases that were asked for. */
export function endpointNames(name: string, id: string, hostname: string): readonly string[] {
  return [...new Set([name, shortId(id), ...(hostname === '' ? [] : [hostname])])]
}
