import type { Readable } from 'node:stream'
import { formatReference, parseReference, withDefaultTag } from '../../base/reference.ts'
import { forUnpacking } from '../content/compression.ts'
import { hostPlatform, parsePlatform } from '../content/manifest.ts'
import type { ImageStore } from './images.ts'
import type { Image, ImageConfig, Images } from './types.ts'

/** An image of one layer: the root file system in a tar, whatever it is compressed with. */
export async function importImage(
  store: ImageStore,
  tar: Readable,
  options: Parameters<Images['import']>[1],
): Promise<Image> {
  const reference =
    options.reference === undefined ? [] : [formatReference(withDefaultTag(parseReference(options.reference)))]
  const platform = options.platform === undefined ? hostPlatform() : parsePlatform(options.platform)
  await using unpacked = await store.layers.unpack(await forUnpacking(tar))
  const layer = await store.layers.adopt(unpacked, [])
  const created = new Date().toISOString()
  const config: ImageConfig = {
    created,
    ...platform,
    config: options.config ?? {},
    rootfs: { type: 'layers', diff_ids: [layer.diffId] },
    history: [{ created, comment: options.message ?? 'Imported from -' }],
  }
  const id = await store.register(Buffer.from(JSON.stringify(config)), [layer], reference)
  return store.records.byId(id) as Image
}
