import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statfsSync, writeFileSync } from 'node:fs'
import { mapConcurrent } from '../../base/concurrency.ts'
import { type Digest, digestOf } from '../../base/digest.ts'
import { TcomposeError } from '../../base/errors.ts'
import { randomHex } from '../../base/id.ts'
import { bootId } from '../../platform/process.ts'
import {
  assembleTar,
  digestAssembled,
  digestTree,
  packTree,
  removeTree,
  syncInBackground,
  type UnpackResult,
  unpackTar,
} from '../../runtime/fs-worker.ts'
import { type Lease, leasedObjects, openLease } from '../content/leases.ts'
import { makeTemporary, type TemporaryDirectory } from '../content/temporary.ts'
import type { Database, Row } from '../state/database.ts'
import type { EnginePaths } from '../state/paths.ts'
import type { Layer, Layers, UnpackedLayer } from './types.ts'

const PARALLEL_REMOVALS = 3
const LARGEST_LAYER = 64 * 2 ** 30
const KEPT_FREE = 128 << 20

/** What a layer's row holds beyond its columns. */
interface LayerRecord {
  readonly tarBytes: number
  readonly standalone: boolean
}

interface Held extends UnpackedLayer {
  readonly temporary: TemporaryDirectory
  adopted: boolean
}

interface NewLayer {
  readonly key: Digest
  readonly diffId: Digest
  readonly sizeBytes: number
  readonly record: LayerRecord
  /** Its directory, and its skeleton where there is one. */
  readonly directory: string
  readonly skeleton?: string
}

/*
 * On disk: `<layers>/<id>` is the directory, `<id>.tar` the skeleton of the archive it came from (none for layers made
 * here: packing them gives their archive), `<id>.tar.dup` payloads that the archive gives and replaces, `<id>.new` says in which boot it was made, until it has reached the disk.
 */
export function createLayers({ db, paths }: { readonly db: Database; readonly paths: EnginePaths }): Layers {
  let lease: Lease | undefined
  let operations = 0
  let batch: string[] | undefined

  const hold = (keys: readonly string[]) => {
    lease ??= openLease(db, 'layer')
    lease.hold(keys)
  }

  const rowOf = (key: Digest) => db.one('SELECT * FROM layers WHERE key = ?', key)

  const take = (key: Digest, accept: (row: Row) => boolean = () => true): Layer | undefined => {
    const seen = rowOf(key)
    if (!seen || !accept(seen)) return undefined
    return db.transaction(() => {
      const row = rowOf(key)
      if (!row) return undefined
      hold([key])
      return layerOf(paths, row)
    })
  }

  const get = (key: Digest): Layer => {
    const layer = take(key)
    if (!layer) throw new TcomposeError('NOT_FOUND', `no such layer: ${key}`)
    return layer
  }

  /** Renames inside the transaction: nobody who holds the write lock ever sees a directory without a row. */
  const insert = (layer: NewLayer): { readonly layer: Layer; readonly existed: boolean } =>
    db.transaction(() => {
      hold([layer.key])
      const existing = rowOf(layer.key)
      if (existing) return { layer: layerOf(paths, existing), existed: true }
      mkdirSync(paths.layers, { recursive: true, mode: 0o700 })
      const id = randomHex(8)
      writeFileSync(`${paths.layers}/${id}.new`, bootId())
      if (layer.skeleton !== undefined) {
        renameSync(layer.skeleton, `${paths.layers}/${id}.tar`)
        if (existsSync(`${layer.skeleton}.dup`)) renameSync(`${layer.skeleton}.dup`, `${paths.layers}/${id}.tar.dup`)
      }
      renameSync(layer.directory, `${paths.layers}/${id}`)
      db.run(
        'INSERT INTO layers (key, diff_id, directory, size, record) VALUES (?, ?, ?, ?, ?)',
        layer.key,
        layer.diffId,
        id,
        layer.sizeBytes,
        JSON.stringify(layer.record),
      )
      markNew(id)
      return { layer: layerOf(paths, rowOf(layer.key) as Row), existed: false }
    })

  /** New layers are brought to the disk in the background, those of one turn together. */
  const markNew = (id: string) => {
    if (batch) {
      batch.push(id)
      return
    }
    batch = [id]
    setImmediate(() => {
      const ids = batch ?? []
      batch = undefined
      syncInBackground(
        paths.layers,
        ids.map((each) => `${paths.layers}/${each}.new`),
      )
    })
  }

  /** Applies a layer to the mounted layers below it, where its links and its directories' attributes come from. */
  const merge = async (
    held: Held,
    parents: readonly Layer[],
    signal: AbortSignal | undefined,
  ): Promise<{ readonly directory: string; readonly sizeBytes: number }> => {
    const { path } = held.temporary
    const [directory, work] = [`${path}/merged`, `${path}/work`]
    mkdirSync(directory, { mode: 0o755 })
    mkdirSync(work)
    const lowers = parents.map((parent) => parent.directory).toReversed()
    const tar = assembleTar(`${path}/layer`, `${path}/skeleton`, signal)
    const options = { mode: 'merged' } as const
    const result = await unpackTar({ kind: 'overlay', lowers, upper: directory, work }, '/', tar, options, signal)
    if (result.digest !== held.diffId) {
      throw new TcomposeError('CORRUPT', `layer ${held.diffId} cannot be applied to the layers below it`)
    }
    return { directory, sizeBytes: result.sizeBytes }
  }

  return {
    operation() {
      operations++
      return {
        [Symbol.dispose]() {
          if (--operations > 0 || !lease) return
          lease[Symbol.dispose]()
          lease = undefined
        },
      }
    },
    find(diffId, chainId) {
      return take(chainId, (row) => String(row.diff_id) === diffId) ?? take(diffId, (row) => recordOf(row).standalone)
    },
    get,
    getAll: (keys) => db.transaction(() => keys.map(get)),

    async unpack(tar, signal) {
      const temporary = makeTemporary(paths)
      const directory = `${temporary.path}/layer`
      mkdirSync(directory, { mode: 0o755 })
      let result: UnpackResult
      try {
        const skeleton = `${temporary.path}/skeleton`
        const options = { mode: 'layer', skeleton, maxBytes: roomFor(temporary.path) } as const
        result = await unpackTar({ kind: 'directory', path: directory }, '/', tar, options, signal)
      } catch (error) {
        await temporary[Symbol.asyncDispose]()
        throw error
      }
      const held: Held = {
        diffId: result.digest,
        inputDigest: result.inputDigest,
        sizeBytes: result.sizeBytes,
        tarBytes: result.tarBytes,
        standalone: result.standalone,
        temporary,
        adopted: false,
        [Symbol.asyncDispose]: () => temporary[Symbol.asyncDispose](),
      }
      return held
    },

    async adopt(unpacked, parents, signal) {
      const held = unpacked as Held
      if (held.adopted) throw new Error('a layer can be adopted once')
      const { path } = held.temporary
      const record: LayerRecord = { tarBytes: held.tarBytes, standalone: held.standalone }
      const below = parents.at(-1)
      const alone = held.standalone || below === undefined
      const directory = alone ? `${path}/layer` : (await merge(held, parents, signal)).directory
      const key = alone ? held.diffId : chainOn(parents, held.diffId)
      held.adopted = true
      const { layer } = insert({
        key,
        diffId: held.diffId,
        sizeBytes: held.sizeBytes,
        record,
        directory,
        skeleton: `${path}/skeleton`,
      })
      await held.temporary[Symbol.asyncDispose]()
      return layer
    },

    async commit(directory, options = {}) {
      const target = { kind: 'directory', path: directory } as const
      const packed = await digestTree(target, '/', { mode: 'layer' }, options.signal)
      const { layer, existed } = insert({
        key: packed.digest,
        diffId: packed.digest,
        sizeBytes: packed.sizeBytes,
        record: { tarBytes: packed.tarBytes, standalone: true },
        directory,
      })
      if (existed) await removeTree(directory)
      return layer
    },

    tar(layer, parents, signal) {
      const skeleton = `${layer.directory}.tar`
      if (existsSync(skeleton)) return assembleTar(sourceOf(layer, parents), skeleton, signal)
      return packTree({ kind: 'directory', path: layer.directory }, '/', { mode: 'layer' }, signal)
    },

    async empty() {
      const known = take(EMPTY_LAYER)
      if (known) return known
      await using temporary = makeTemporary(paths)
      const directory = `${temporary.path}/layer`
      mkdirSync(directory, { mode: 0o755 })
      return await this.commit(directory)
    },

    async collect() {
      const going = db.transaction(() => {
        const leased = leasedObjects(db, 'layer')
        const rows = db
          .all(
            `SELECT * FROM layers WHERE NOT EXISTS (SELECT 1 FROM image_layers WHERE layer_key = key)
             AND NOT EXISTS (SELECT 1 FROM build_cache WHERE build_cache.layer_key = layers.key)`,
          )
          .filter((row) => !leased.has(String(row.key)))
        for (const row of rows) db.run('DELETE FROM layers WHERE key = ?', String(row.key))
        return rows.map((row) => layerOf(paths, row))
      })
      await mapConcurrent(going, PARALLEL_REMOVALS, (layer) => removeTree(filesOf(layer)))
      return {
        removed: going.map((layer) => layer.key),
        bytes: going.reduce((sum, layer) => sum + layer.sizeBytes, 0),
      }
    },

    async reconcile() {
      await verifyAfterCrash()
      const orphans = db.transaction(() => {
        const known = new Set(db.all('SELECT directory FROM layers').map((row) => String(row.directory)))
        return namesIn(paths.layers).filter((name) => !known.has(name.replace(/\.(tar|tar\.dup|new)$/, '')))
      })
      await removeTree(orphans.map((name) => `${paths.layers}/${name}`))
    },
  }

  /** The layers below one in an image that has it, bottom first. */
  function belowOf(row: Row): readonly Layer[] {
    const place = db.one('SELECT image_id, position FROM image_layers WHERE layer_key = ?', String(row.key))
    if (!place) return []
    return db
      .all(
        `SELECT layers.* FROM image_layers JOIN layers ON key = layer_key
         WHERE image_id = ? AND position < ? ORDER BY position`,
        String(place.image_id),
        Number(place.position),
      )
      .map((each) => layerOf(paths, each))
  }

  /** Layers whose content a loss of power may have taken are compared with their digest; the broken ones go. */
  async function verifyAfterCrash(): Promise<void> {
    const boot = bootId()
    const pending = namesIn(paths.layers).filter((name) => name.endsWith('.new'))
    const settled: string[] = []
    for (const name of pending) {
      const id = name.slice(0, -'.new'.length)
      const row = db.one('SELECT * FROM layers WHERE directory = ?', id)
      if (!row) continue
      const marker = `${paths.layers}/${name}`
      if (readFileSync(marker, 'utf8') !== boot && !(await isIntact(paths, row, belowOf(row)))) {
        db.transaction(() => {
          db.run(
            'DELETE FROM image_refs WHERE image_id IN (SELECT image_id FROM image_layers WHERE layer_key = ?)',
            String(row.key),
          )
          db.run(
            'DELETE FROM images WHERE id IN (SELECT image_id FROM image_layers WHERE layer_key = ?)',
            String(row.key),
          )
          db.run('DELETE FROM build_cache WHERE layer_key = ?', String(row.key))
          db.run('DELETE FROM layers WHERE key = ?', String(row.key))
        })
        continue
      }
      settled.push(marker)
    }
    if (settled.length > 0) syncInBackground(paths.layers, settled)
  }
}

/** sha256 of the archive without entries: 1,024 zero bytes. */
export const EMPTY_LAYER: Digest = digestOf(new Uint8Array(1024))

function layerOf(paths: EnginePaths, row: Row): Layer {
  return {
    key: String(row.key) as Digest,
    diffId: String(row.diff_id) as Digest,
    directory: `${paths.layers}/${row.directory}`,
    sizeBytes: Number(row.size),
    tarBytes: recordOf(row).tarBytes,
  }
}

function recordOf(row: Row): LayerRecord {
  return JSON.parse(String(row.record)) as LayerRecord
}

function filesOf(layer: Layer): string[] {
  return [layer.directory, `${layer.directory}.tar`, `${layer.directory}.tar.dup`, `${layer.directory}.new`]
}

function chainOn(parents: readonly Layer[], diffId: Digest): Digest {
  let chain: Digest | undefined
  for (const each of [...parents.map((parent) => parent.diffId), diffId]) {
    chain = chain === undefined ? each : digestOf(`${chain} ${each}`)
  }
  return chain as Digest
}

/** A layer that needs its parents may have files under names that only their links lead to. */
function sourceOf(layer: Layer, parents: readonly Layer[]): string | { kind: 'overlay'; lowers: readonly string[] } {
  if (layer.key === layer.diffId) return layer.directory
  return { kind: 'overlay', lowers: [layer, ...parents.toReversed()].map((each) => each.directory) }
}

async function isIntact(paths: EnginePaths, row: Row, below: readonly Layer[]): Promise<boolean> {
  const layer = layerOf(paths, row)
  const skeleton = `${layer.directory}.tar`
  try {
    const found = existsSync(skeleton)
      ? await digestAssembled(sourceOf(layer, below), skeleton)
      : await digestTree({ kind: 'directory', path: layer.directory }, '/', { mode: 'layer' })
    return found.digest === layer.diffId
  } catch {
    return false
  }
}

/** Upper bound of one unpacked layer: a bomb must not fill the disk to the last block. */
function roomFor(path: string): number {
  const { bavail, bsize } = statfsSync(path)
  return Math.max(1, Math.min(LARGEST_LAYER, bavail * bsize - KEPT_FREE))
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}
