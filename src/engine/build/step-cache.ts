import { digestOf } from '../../base/digest.ts'
import { withLock } from '../../platform/lock.ts'
import type { Layer, Layers } from '../layers/types.ts'
import type { Database } from '../state/database.ts'

/** Layers of steps that were run before, by what went into them. */
export interface StepCache {
  /**
   * The layer for `key`, made by `make` unless it is here; at most one process makes it at a time.
   * @param fresh make it in any case
   */
  layer(
    key: string,
    options: { readonly name: string; readonly fresh: boolean; readonly signal?: AbortSignal | undefined },
    make: () => Promise<Layer>,
  ): Promise<{ readonly layer: Layer; readonly cached: boolean }>
  /** Whether the step has been run before and its layer is here. */
  find(key: string): Layer | undefined
}

/** A key from anything JSON can hold. */
export function stepKey(parts: unknown): string {
  return digestOf(JSON.stringify(parts)).slice('sha256:'.length)
}

export function createStepCache(db: Database, layers: Layers): StepCache {
  const making = new Map<string, Promise<{ readonly layer: Layer; readonly cached: boolean }>>()

  const find = (key: string): Layer | undefined =>
    db.transaction(() => {
      const row = db.one('SELECT layer_key FROM build_cache WHERE key = ?', key)
      if (!row) return undefined
      const known = db.one('SELECT diff_id FROM layers WHERE key = ?', String(row.layer_key))
      if (!known) {
        db.run('DELETE FROM build_cache WHERE key = ?', key)
        return undefined
      }
      db.run('UPDATE build_cache SET used_at = ? WHERE key = ?', new Date().toISOString(), key)
      return layers.get(String(row.layer_key) as Layer['key'])
    })

  return {
    find,
    async layer(key, { name, fresh, signal }, make) {
      const already = fresh ? undefined : find(key)
      if (already) return { layer: already, cached: true }
      const started = Date.now()
      const run = () =>
        withLock(
          db.secret,
          `build/${key}`,
          async () => {
            // Somebody else may have made it while we waited for the lock; without cache that is no older than our wish.
            const made = find(key)
            const row = made && db.one('SELECT created_at FROM build_cache WHERE key = ?', key)
            if (made && (!fresh || Date.parse(String(row?.created_at)) >= started)) return { layer: made, cached: true }
            const layer = await make()
            const now = new Date().toISOString()
            db.run(
              'INSERT OR REPLACE INTO build_cache (key, record, layer_key, size, created_at, used_at) VALUES (?, ?, ?, ?, ?, ?)',
              key,
              JSON.stringify({ name }),
              layer.key,
              layer.sizeBytes,
              now,
              now,
            )
            return { layer, cached: false }
          },
          { signal },
        )
      const shared = making.get(key) ?? run()
      making.set(key, shared)
      try {
        return await shared
      } finally {
        if (making.get(key) === shared) making.delete(key)
      }
    },
  }
}
