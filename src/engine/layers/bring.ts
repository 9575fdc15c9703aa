import type { Digest } from '../../base/digest.ts'
import { TcomposeError, throwIfAborted } from '../../base/errors.ts'
import { acquireLock } from '../../platform/lock.ts'
import type { Layer, Layers, UnpackedLayer } from './types.ts'

export interface BringRequest {
  readonly layers: Layers
  /** The state root's secret: whoever wants the same layer at the same time waits for it. */
  readonly lockScope: string
  readonly diffId: Digest
  readonly chainId: Digest
  /** Where it comes from, for errors. */
  readonly name: string
  /** Called when the layer is not here, by one process at a time. The result is disposed by whoever called `bringLayer`. */
  unpack(): Promise<UnpackedLayer>
  /** Called before waiting. */
  onWait?(): void
}

export type BroughtLayer =
  | { readonly kind: 'present'; readonly layer: Layer }
  | { readonly kind: 'unpacked'; readonly layer: Layer }
  /** It needs the layers below it: adopt it when they are there. */
  | { readonly kind: 'dependent'; readonly unpacked: UnpackedLayer }

/**
 * Gets a layer into the store, unless it is there or another process is bringing it.
 * @throws TcomposeError CORRUPT when what was unpacked is not what `diffId` names
 */
export async function bringLayer(request: BringRequest, signal: AbortSignal | undefined): Promise<BroughtLayer> {
  const { layers, diffId, chainId } = request
  const here = layers.find(diffId, chainId)
  if (here) return { kind: 'present', layer: here }
  request.onWait?.()
  await using _lock = await acquireLock(request.lockScope, `layer/${diffId}`, { signal })
  const meanwhile = layers.find(diffId, chainId)
  if (meanwhile) return { kind: 'present', layer: meanwhile }
  throwIfAborted(signal)
  const unpacked = await request.unpack()
  if (unpacked.diffId !== diffId) {
    throw new TcomposeError('CORRUPT', `layer ${request.name} does not match its digest`, {
      hint: `${diffId} is expected, ${unpacked.diffId} was found: the image is damaged`,
    })
  }
  if (!unpacked.standalone) return { kind: 'dependent', unpacked }
  return { kind: 'unpacked', layer: await layers.adopt(unpacked, [], signal) }
}
