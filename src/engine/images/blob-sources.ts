import type { Digest } from '../../base/digest.ts'
import type { Descriptor } from '../content/manifest.ts'
import type { Database } from '../state/database.ts'

/** Where a compressed form of a layer is known to be: what a push need not send again. */
export interface KnownBlob {
  readonly digest: Digest
  readonly sizeBytes: number
  readonly mediaType: string
  /** `domain/path` of repositories. */
  readonly repositories: readonly string[]
}

/** How many repositories are remembered for a blob. */
const REMEMBERED = 20

export function recordBlob(
  db: Database,
  seen: { readonly descriptor: Descriptor; readonly diffId: Digest; readonly domain: string; readonly path: string },
): void {
  const { digest, size, mediaType } = seen.descriptor
  const repository = `${seen.domain}/${seen.path}`
  db.transaction(() => {
    const known = db.one('SELECT source FROM blobs WHERE digest = ?', digest)
    const before = known ? (JSON.parse(String(known.source)) as string[]) : []
    const repositories = [repository, ...before.filter((each) => each !== repository)].slice(0, REMEMBERED)
    db.run(
      'INSERT OR REPLACE INTO blobs (digest, size, media_type, diff_id, source) VALUES (?, ?, ?, ?, ?)',
      digest,
      size,
      mediaType,
      seen.diffId,
      JSON.stringify(repositories),
    )
  })
}

/** Compressed forms of a layer; those in a repository of the registry first. */
export function knownBlobs(db: Database, diffId: Digest, domain: string): readonly KnownBlob[] {
  const rank = (blob: KnownBlob) => (blob.repositories.some((name) => name.startsWith(`${domain}/`)) ? 0 : 1)
  return db
    .all('SELECT * FROM blobs WHERE diff_id = ?', diffId)
    .map((row) => ({
      digest: String(row.digest) as Digest,
      sizeBytes: Number(row.size),
      mediaType: String(row.media_type),
      repositories: JSON.parse(String(row.source)) as string[],
    }))
    .toSorted((a, b) => rank(a) - rank(b))
}
