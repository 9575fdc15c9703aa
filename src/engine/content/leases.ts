import { errnoOf } from '../../base/errors.ts'
import { randomHex } from '../../base/id.ts'
import { isAlive, processStart } from '../../platform/process.ts'
import type { Database } from '../state/database.ts'

/** Keeps objects from being collected until it is disposed or its process ends. */
export interface Lease extends Disposable {
  /** Adds objects. Do it in one transaction with the look-up that found them. */
  hold(objects: readonly string[]): void
}

export type LeaseKind = 'layer' | 'blob' | 'image'

export function openLease(db: Database, kind: LeaseKind): Lease {
  const id = randomHex(16)
  const start = processStart(process.pid) ?? ''
  return {
    hold(objects) {
      if (objects.length === 0) return
      db.transaction(() => {
        for (const object of objects) {
          db.run('INSERT OR IGNORE INTO leases VALUES (?, ?, ?, ?, ?)', id, kind, object, process.pid, start)
        }
      })
    },
    [Symbol.dispose]() {
      try {
        db.run('DELETE FROM leases WHERE id = ?', id)
      } catch (error) {
        // The database was closed before: the lease ends with the process.
        if (errnoOf(error) !== 'ERR_INVALID_STATE') throw error
      }
    },
  }
}

/** Drops the leases of processes that are gone and gives what the others hold. Call it inside a transaction. */
export function leasedObjects(db: Database, kind: LeaseKind): ReadonlySet<string> {
  const alive = new Map<string, boolean>()
  const held = new Set<string>()
  for (const row of db.all('SELECT object, pid, pid_start FROM leases WHERE kind = ?', kind)) {
    const pid = Number(row.pid)
    const start = String(row.pid_start)
    const name = `${pid}.${start}`
    let lives = alive.get(name)
    if (lives === undefined) {
      lives = isAlive({ pid, start })
      alive.set(name, lives)
      if (!lives) db.run('DELETE FROM leases WHERE pid = ? AND pid_start = ?', pid, start)
    }
    if (lives) held.add(String(row.object))
  }
  return held
}
