import type { Digest } from '../../base/digest.ts'
import { digestOf, isDigest } from '../../base/digest.ts'
import { TcomposeError } from '../../base/errors.ts'
import {
  familiarReference,
  formatReference,
  parseReference,
  type Reference,
  withDefaultTag,
} from '../../base/reference.ts'
import type { Database, Row } from '../state/database.ts'
import type { Image, ImageConfig } from './types.ts'

/** What an image's row holds beyond its columns. */
interface ImageRecord {
  /** When it came into this store. */
  readonly addedAt: string
}

/** The rows of images, their references and their layers. Names in `image_refs` are full: `docker.io/library/x:tag`. */
export interface ImageRecords {
  /** By id, id prefix, name with tag, or name with digest. */
  find(ref: string): Image | undefined
  /** @throws TcomposeError NOT_FOUND */
  get(ref: string): Image
  byId(id: Digest): Image | undefined
  list(): readonly Image[]
  config(id: Digest): Uint8Array
  layerKeys(id: Digest): readonly Digest[]
  /** Adds the image unless it is there, and its layers; call it in one transaction with `tag`. */
  put(config: Uint8Array, layerKeys: readonly Digest[]): Digest
  /** Puts a full reference on an image, taking it from another. @returns the image that had it */
  tag(reference: string, id: Digest): Digest | undefined
  untag(reference: string): void
  references(id: Digest): readonly string[]
  delete(id: Digest): void
}

export function createImageRecords(db: Database): ImageRecords {
  const imageOf = (row: Row): Image => {
    const id = String(row.id) as Digest
    const names = db.all('SELECT ref, tagged_at FROM image_refs WHERE image_id = ? ORDER BY ref', id)
    const familiar = names.map((name) => familiarReference(parseReference(String(name.ref))))
    const config = parseConfig(row.config as Uint8Array)
    const size = db.one(
      'SELECT coalesce(sum(size), 0) AS size FROM image_layers JOIN layers ON key = layer_key WHERE image_id = ?',
      id,
    )
    const addedAt = (JSON.parse(String(row.record)) as ImageRecord).addedAt
    const times = names.map((name) => String(name.tagged_at)).toSorted()
    return {
      id,
      config,
      tags: familiar.filter((name) => !name.includes('@')),
      repoDigests: familiar.filter((name) => name.includes('@')),
      sizeBytes: Number(size?.size ?? 0),
      createdAt: config.created ?? '0001-01-01T00:00:00Z',
      taggedAt: times.at(-1) ?? addedAt,
    }
  }

  const rowById = (id: string) => db.one('SELECT * FROM images WHERE id = ?', id)

  const rowByName = (name: string): Row | undefined => {
    const found = db.one('SELECT image_id FROM image_refs WHERE ref = ?', name)
    return found ? rowById(String(found.image_id)) : undefined
  }

  const rowByPrefix = (prefix: string): Row | undefined => {
    const low = `sha256:${prefix}`
    const rows = db.all('SELECT * FROM images WHERE id >= ? AND id < ? LIMIT 2', low, `${low}g`)
    if (rows.length < 2) return rows[0]
    throw new TcomposeError('INVALID', `image id prefix ${prefix} is ambiguous`, { hint: 'give more of its digits' })
  }

  const rowOf = (ref: string): Row | undefined => {
    if (isDigest(ref)) return rowById(ref)
    const prefixed = /^sha256:([0-9a-f]{1,63})$/.exec(ref)
    if (prefixed) return rowByPrefix(prefixed[1] as string)
    if (/^[0-9a-f]{64}$/.test(ref)) return rowById(`sha256:${ref}`)
    const named = nameOf(ref)
    const row = named && (rowByName(formatReference(withDefaultTag(named))) ?? byDigestOnly(named))
    if (row) return row
    return /^[0-9a-f]{1,63}$/.test(ref) ? rowByPrefix(ref) : undefined
  }

  /** `name:tag@digest`: the digest decides. */
  const byDigestOnly = (named: Reference): Row | undefined => {
    if (named.digest === undefined) return undefined
    const known = rowByName(formatReference({ ...named, tag: undefined }))
    if (known) return known
    // `name@ID` with the id of an image that has this name.
    const row = rowById(named.digest)
    const repository = formatReference({ ...named, tag: undefined, digest: undefined })
    return row && references(named.digest).some((name) => name.startsWith(`${repository}:`)) ? row : undefined
  }

  const references = (id: Digest) =>
    db.all('SELECT ref FROM image_refs WHERE image_id = ? ORDER BY ref', id).map((row) => String(row.ref))

  const find = (ref: string) => {
    const row = rowOf(ref)
    return row && imageOf(row)
  }

  return {
    find,
    get(ref) {
      const image = find(ref)
      if (image) return image
      throw new TcomposeError('NOT_FOUND', `no such image: ${shown(ref)}`)
    },
    byId(id) {
      const row = rowById(id)
      return row && imageOf(row)
    },
    list: () => db.all('SELECT * FROM images').map(imageOf),
    config: (id) => rowById(id)?.config as Uint8Array,
    layerKeys: (id) =>
      db
        .all('SELECT layer_key FROM image_layers WHERE image_id = ? ORDER BY position', id)
        .map((row) => String(row.layer_key) as Digest),
    put(config, layerKeys) {
      const id = digestOf(config)
      if (rowById(id)) return id
      const record: ImageRecord = { addedAt: new Date().toISOString() }
      db.run(
        'INSERT INTO images (id, config, record, created_at) VALUES (?, ?, ?, ?)',
        id,
        config,
        JSON.stringify(record),
        parseConfig(config).created ?? '',
      )
      layerKeys.forEach((key, position) => {
        db.run('INSERT INTO image_layers VALUES (?, ?, ?)', id, position, key)
      })
      return id
    },
    tag(reference, id) {
      const before = db.one('SELECT image_id FROM image_refs WHERE ref = ?', reference)
      db.run(
        `INSERT INTO image_refs VALUES (?, ?, ?)
         ON CONFLICT (ref) DO UPDATE SET image_id = excluded.image_id, tagged_at = excluded.tagged_at`,
        reference,
        id,
        new Date().toISOString(),
      )
      return before === undefined ? undefined : (String(before.image_id) as Digest)
    },
    untag: (reference) => void db.run('DELETE FROM image_refs WHERE ref = ?', reference),
    references,
    delete(id) {
      db.run('DELETE FROM image_refs WHERE image_id = ?', id)
      db.run('DELETE FROM images WHERE id = ?', id)
    },
  }
}

/** A reference if the text is one; an id or a digest is none. */
function nameOf(ref: string): Reference | undefined {
  try {
    return parseReference(ref)
  } catch {
    return undefined
  }
}

function shown(ref: string): string {
  const named = nameOf(ref)
  return named && !/^[0-9a-f]{12,64}$/.test(ref) ? familiarReference(withDefaultTag(named)) : ref
}

/**
 * Reads an image config. Unknown fields are kept only in its bytes.
 * @throws TcomposeError INVALID
 */
export function parseConfig(bytes: Uint8Array): ImageConfig {
  let value: Partial<ImageConfig> | null
  try {
    value = JSON.parse(Buffer.from(bytes).toString()) as Partial<ImageConfig> | null
  } catch (cause) {
    throw new TcomposeError('INVALID', 'the image config is no JSON', { cause })
  }
  const diffIds: unknown = value?.rootfs?.diff_ids ?? []
  if (
    typeof value !== 'object' ||
    value === null ||
    !Array.isArray(diffIds) ||
    !diffIds.every((id) => isDigest(String(id)))
  ) {
    throw new TcomposeError('INVALID', 'the image config has no list of layers')
  }
  return {
    ...value,
    architecture: value.architecture ?? '',
    os: value.os ?? 'linux',
    rootfs: { type: 'layers', diff_ids: diffIds as Digest[] },
  }
}
