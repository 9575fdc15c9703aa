import { readdirSync } from 'node:fs'
import { diskUsage, removeTree } from '../../runtime/fs-worker.ts'
import type { Layers } from '../layers/types.ts'
import type { Database } from '../state/database.ts'
import type { EnginePaths } from '../state/paths.ts'
import type { Builder } from './types.ts'

/** Cache entries that nobody has used for the longest time go first. */
export async function pruneCache(
  deps: { readonly db: Database; readonly paths: EnginePaths; readonly layers: Layers },
  options: { readonly all?: boolean; readonly keepBytes?: number; readonly olderThanMs?: number | undefined },
): Promise<{ readonly removed: readonly string[]; readonly bytes: number }> {
  const { db } = deps
  const limit = options.olderThanMs === undefined ? undefined : new Date(Date.now() - options.olderThanMs).toISOString()
  const removed = db.transaction(() => {
    const rows = db.all('SELECT key, size, used_at, layer_key FROM build_cache ORDER BY used_at')
    let total = rows.reduce((sum, row) => sum + Number(row.size), 0)
    const gone: string[] = []
    for (const row of rows) {
      if (options.keepBytes !== undefined && total <= options.keepBytes) break
      if (limit !== undefined && String(row.used_at) > limit) break
      db.run('DELETE FROM build_cache WHERE key = ?', String(row.key))
      total -= Number(row.size)
      gone.push(String(row.key))
    }
    return gone
  })
  const collected = await deps.layers.collect()
  let bytes = collected.bytes
  // Cache mounts belong to no step; they go only with everything.
  if (options.all && options.keepBytes === undefined && limit === undefined) {
    for (const name of namesIn(deps.paths.cacheMounts)) {
      const path = `${deps.paths.cacheMounts}/${name}`
      bytes += (await diskUsage(path)).sizeBytes
      await removeTree(path)
      removed.push(`cache mount ${name}`)
    }
  }
  return { removed, bytes }
}

/** Most that the cache may hold; beyond it, what has not been used for the longest time goes. */
const MAX_BYTES = 20 * 1024 ** 3
/** So much is left then, so that not every build has to look for more. */
const KEPT_BYTES = 16 * 1024 ** 3

/** Keeps the cache within its bounds. */
export async function boundCache(deps: Parameters<typeof pruneCache>[0]): Promise<void> {
  const total = Number(deps.db.one('SELECT total(size) AS n FROM build_cache')?.n ?? 0)
  if (total > MAX_BYTES) await pruneCache(deps, { keepBytes: KEPT_BYTES })
}

/** Least recently used first. */
export function cacheEntries(db: Database): Awaited<ReturnType<Builder['cached']>> {
  const rows = db.all(
    `SELECT key, size, created_at, used_at, layer_key IN (SELECT layer_key FROM image_layers) AS shared
     FROM build_cache ORDER BY used_at`,
  )
  return rows.map((row) => ({
    key: String(row.key),
    sizeBytes: Number(row.size),
    createdAt: String(row.created_at),
    usedAt: String(row.used_at),
    shared: Number(row.shared ?? 0) === 1,
  }))
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}
