import { hash } from 'node:crypto'
import type { BigIntStats } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Digest } from '../../base/digest.ts'
import type { Database } from '../state/database.ts'
import { digestFile } from './context-tree.ts'

/** Digests of host files, remembered by path and everything that changes with a file's content. */
export interface FileDigests {
  of(path: string, stat: BigIntStats): Promise<Digest>
  /** Writes what was learned. */
  save(): void
}

/** A file changed within this time may change again without a new time stamp: it is not remembered. */
const RACY_NS = 1_000_000_000n
const SMALL_BYTES = 1 << 20
const MAX_ROWS = 200_000

export function createFileDigests(db: Database): FileDigests {
  db.run(
    'CREATE TABLE IF NOT EXISTS build_files (path TEXT PRIMARY KEY, stamp TEXT NOT NULL, digest TEXT NOT NULL) WITHOUT ROWID',
  )
  const learned = new Map<string, { readonly stamp: string; readonly digest: Digest }>()
  return {
    async of(path, stat) {
      const stamp = `${stat.size} ${stat.mtimeNs} ${stat.ctimeNs} ${stat.dev}:${stat.ino}`
      const row = learned.get(path) ?? db.one('SELECT stamp, digest FROM build_files WHERE path = ?', path)
      if (row?.stamp === stamp) return String(row.digest) as Digest
      const digest: Digest =
        stat.size <= SMALL_BYTES ? `sha256:${hash('sha256', await readFile(path), 'hex')}` : await digestFile(path)
      if (BigInt(Date.now()) * 1_000_000n - stat.ctimeNs > RACY_NS) learned.set(path, { stamp, digest })
      return digest
    },
    save() {
      if (learned.size === 0) return
      db.transaction(() => {
        for (const [path, { stamp, digest }] of learned) {
          db.run('INSERT OR REPLACE INTO build_files VALUES (?, ?, ?)', path, stamp, digest)
        }
        const rows = Number(db.one('SELECT count(*) AS n FROM build_files')?.n)
        if (rows > MAX_ROWS) db.run('DELETE FROM build_files')
      })
      learned.clear()
    },
  }
}
