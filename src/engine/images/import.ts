import type { Readable } from 'node:stream'
import { formatReference, parseReference, withDefaultTag } from '../../base/reference.ts'
import { forUnpacking } from '../content/compression.ts'
import { hostPlatform, type Platform, parsePlatform } from '../content/manifest.ts'
import type { ImageStore } from './images.ts'
import type { Image, ImageConfig, Images } from './types.ts'

/**
 * An image of a tar, whatever that is compressed with: of the whole root file system, or, with `base`, of the changes to
 * that image's as one more layer.
 */
export async function importImage(
  store: ImageStore,
  tar: Readable,
  options: Parameters<Images['import']>[1],
): Promise<Image> {
  const reference =
    options.reference === undefined ? [] : [formatReference(withDefaultTag(parseReference(options.reference)))]
  const base = options.base === undefined ? undefined : store.records.get(options.base)
  const below = base === undefined ? [] : store.layersOf(base.id)
  await using unpacked = await store.layers.unpack(await forUnpacking(tar))
  const layer = await store.layers.adopt(unpacked, below)
  const layers = [...below, layer]
  const created = new Date().toISOString()
  const { author, createdBy, message } = options
  const config: ImageConfig = {
    created,
    ...platformOf(base, options.platform),
    ...(author === undefined ? {} : { author }),
    config: options.config ?? {},
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: [
      ...(base?.config.history ?? below.map(() => ({}))),
      {
        created,
        ...(createdBy === undefined ? {} : { created_by: createdBy }),
        ...(author === undefined ? {} : { author }),
        ...(message === undefined && base ? {} : { comment: message ?? 'Imported from -' }),
      },
    ],
  }
  const id = await store.register(Buffer.from(JSON.stringify(config)), layers, reference)
  return store.records.byId(id) as Image
}

function platformOf(base: Image | undefined, asked: string | undefined): Platform {
  if (asked !== undefined) return parsePlatform(asked)
  if (base === undefined) return hostPlatform()
  const { os, architecture, variant } = base.config
  return { os, architecture, ...(variant === undefined ? {} : { variant }) }
}
