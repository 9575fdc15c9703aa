import type { Readable } from 'node:stream'
import type { Digest } from '../../base/digest.ts'
import { throwIfAborted } from '../../base/errors.ts'
import { familiarReference, formatReference, parseReference, withDefaultTag } from '../../base/reference.ts'
import { removePartials } from '../content/partial.ts'
import { removeStaleTemporaries } from '../content/temporary.ts'
import type { EngineEvent } from '../events/types.ts'
import { chainIds } from '../layers/chain.ts'
import { createLayers } from '../layers/layers.ts'
import type { Layer, Layers } from '../layers/types.ts'
import type { Database } from '../state/database.ts'
import type { EnginePaths } from '../state/paths.ts'
import { imageHistory, listImages } from './listing.ts'
import { createImageRecords, type ImageRecords, parseConfig } from './records.ts'
import { pruneImages, removeImage } from './remove.ts'
import type { Image, ImageConfig, Images } from './types.ts'

export interface ImagesDeps {
  readonly db: Database
  readonly paths: EnginePaths
  /** For registries: DOCKER_CONFIG, proxies, TCOMPOSE_INSECURE_REGISTRIES, TCOMPOSE_REGISTRY_MIRRORS. */
  readonly env: NodeJS.ProcessEnv
  readonly events?: { emit(event: Omit<EngineEvent, 'sequence' | 'timeNs'>): void } | undefined
  readonly layers?: Layers
}

/** What the files of this folder work with. */
export interface ImageStore {
  readonly db: Database
  readonly paths: EnginePaths
  readonly env: NodeJS.ProcessEnv
  readonly layers: Layers
  readonly records: ImageRecords
  /** Registers an image whose layers are here, with full references, durably. */
  register(config: Uint8Array, layers: readonly Layer[], references: readonly string[]): Promise<Digest>
  /** The layers of an image, bottom first. */
  layersOf(id: Digest): readonly Layer[]
  emit(action: string, id: string, attributes?: Readonly<Record<string, string>>): void
}

/** How long `root` keeps the layers it gave from collection: time enough to record the container that has them. */
const ROOT_LEASE_MS = 60_000

export function createImages(deps: ImagesDeps): Images {
  const { db, paths, env } = deps
  const layers = deps.layers ?? createLayers({ db, paths })
  const records = createImageRecords(db)

  const emit: ImageStore['emit'] = (action, id, attributes = {}) =>
    deps.events?.emit({ type: 'image', action, actorId: id, attributes })

  const store: ImageStore = {
    db,
    paths,
    env,
    layers,
    records,
    emit,
    async register(config, stack, references) {
      const id = db.transaction(() => {
        const added = records.put(
          config,
          stack.map((layer) => layer.key),
        )
        for (const reference of references) records.tag(reference, added)
        return added
      })
      db.flush()
      return id
    },
    layersOf: (id) => layers.getAll(records.layerKeys(id)),
  }

  const load = async (archive: Readable, report: Parameters<Images['load']>[1], signal?: AbortSignal) => {
    using _operation = layers.operation()
    const { loadArchive } = await import('./load.ts')
    const loaded = await loadArchive(store, archive, report, signal)
    for (const name of loaded) emit('load', records.get(name).id, { name })
    return loaded
  }

  return {
    get: async (ref) => records.get(ref),
    find: async (ref) => records.find(ref),
    list: async (filter = {}) => listImages(records.list(), filter),

    async tag(ref, target) {
      const name = withDefaultTag(parseReference(target))
      db.transaction(() => records.tag(formatReference({ ...name, digest: undefined }), records.get(ref).id))
      db.flush()
      emit('tag', records.get(ref).id, { name: familiarReference(name) })
    },

    remove: (ref, options = {}) => removeImage(store, ref, options),
    prune: (options = {}) => pruneImages(store, options),
    load,

    async save(refs, out, options = {}) {
      using _operation = layers.operation()
      const { saveArchive } = await import('./save.ts')
      await saveArchive(store, refs, out, options.format ?? 'docker')
    },

    async import(tar, options) {
      using _operation = layers.operation()
      const { importImage } = await import('./import.ts')
      const image = await importImage(store, tar, options)
      // With a base it is a container's commit, which is told as that.
      if (options.base === undefined) emit('import', image.id, { name: options.reference ?? image.id })
      return image
    },

    async put(config, options = {}) {
      using _operation = layers.operation()
      const chains = chainIds(config.rootfs.diff_ids)
      const stack = config.rootfs.diff_ids.map(
        (diffId, index) => layers.find(diffId, chains[index] as Digest) ?? layers.get(diffId),
      )
      const references = (options.references ?? []).map((name) => formatReference(withDefaultTag(parseReference(name))))
      const id = await store.register(Buffer.from(JSON.stringify(config)), stack, references)
      for (const name of references) emit('tag', id, { name: familiarReference(parseReference(name)) })
      return records.byId(id) as Image
    },

    async root(ref) {
      const { id } = records.get(ref)
      const operation = layers.operation()
      setTimeout(() => operation[Symbol.dispose](), ROOT_LEASE_MS).unref()
      const stack = store.layersOf(id)
      const bottom = stack.length > 0 ? stack : [await layers.empty()]
      // An image may have a layer twice; an overlay takes it once, where it is topmost.
      return { imageId: id, lowers: [...new Set(bottom.map((layer) => layer.directory).toReversed())] }
    },

    history: async (ref) => imageHistory(records.get(ref), store.layersOf(records.get(ref).id)),

    async pull(ref, options) {
      throwIfAborted(options.signal)
      using _operation = layers.operation()
      const { pullImage } = await import('./pull.ts')
      const image = await pullImage(store, ref, options)
      emit('pull', ref, { name: ref })
      return image
    },

    async push(ref, options) {
      throwIfAborted(options.signal)
      using _operation = layers.operation()
      const { pushImage } = await import('./push.ts')
      const digest = await pushImage(store, ref, options)
      emit('push', ref, { name: ref })
      return digest
    },

    async remote(ref, options = {}) {
      const { inspectRemote } = await import('./remote.ts')
      return await inspectRemote(env, ref, options)
    },

    async usage() {
      const all = db.one(
        'SELECT coalesce(sum(size), 0) AS size FROM layers WHERE key IN (SELECT layer_key FROM image_layers)',
      )
      const shared = db.all(
        `SELECT image_id, sum(size) AS size FROM (SELECT DISTINCT image_id, layer_key FROM image_layers)
         JOIN layers ON key = layer_key
         WHERE layer_key IN (SELECT layer_key FROM image_layers GROUP BY layer_key HAVING count(DISTINCT image_id) > 1)
         GROUP BY image_id`,
      )
      return {
        layersBytes: Number(all?.size ?? 0),
        sharedBytes: new Map(shared.map((row) => [String(row.image_id) as Digest, Number(row.size)])),
      }
    },

    async reconcile() {
      await removeStaleTemporaries(paths)
      await removePartials(paths)
      await layers.reconcile()
      await layers.collect()
    },
  }
}

/** A config document as bytes, for callers that make one. */
export function encodeConfig(config: ImageConfig): Uint8Array {
  return Buffer.from(JSON.stringify(config))
}

export { parseConfig }
