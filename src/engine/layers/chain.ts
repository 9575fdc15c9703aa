import { type Digest, digestOf } from '../../base/digest.ts'

/** ChainIDs of a stack of diffIDs, bottom first (OCI image spec, "Layer ChainID"). */
export function chainIds(diffIds: readonly Digest[]): readonly Digest[] {
  const chain: Digest[] = []
  for (const diffId of diffIds) {
    const below = chain.at(-1)
    chain.push(below === undefined ? diffId : digestOf(`${below} ${diffId}`))
  }
  return chain
}
