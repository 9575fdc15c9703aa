import { closeSync, fsyncSync, openSync } from 'node:fs'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { TcomposeError } from '../../base/errors.ts'
import { MIGRATIONS } from './migrations.ts'

export type Row = Readonly<Record<string, string | number | bigint | null | Uint8Array>>

/**
 * The records of one state root: SQLite in WAL mode, shared by any number of processes.
 * All calls are synchronous and short; long work happens outside transactions, under per-object locks.
 */
export interface Database extends Disposable {
  all(sql: string, ...values: SQLInputValue[]): readonly Row[]
  one(sql: string, ...values: SQLInputValue[]): Row | undefined
  run(sql: string, ...values: SQLInputValue[]): { readonly changes: number }
  /** BEGIN IMMEDIATE … COMMIT; rolls back when `work` throws. Nested calls join the outer transaction. */
  transaction<T>(work: () => T): T
  /**
   * Makes everything committed so far survive a loss of power. Commits alone survive a crash of the process, not of
   * the machine: call it before telling anybody about an image, a volume or a removal.
   */
  flush(): void
  /** Random and private to this root: names its locks. */
  readonly secret: string
}

/** Opens or makes the database and brings its schema up to date. */
export function openDatabase(path: string): Database {
  const db = new DatabaseSync(path, { timeout: 10_000 })
  db.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY')
  const statements = new Map<string, StatementSync>()
  const prepare = (sql: string): StatementSync => {
    let statement = statements.get(sql)
    if (!statement) {
      statement = db.prepare(sql)
      statements.set(sql, statement)
    }
    return statement
  }
  let depth = 0
  const transaction = <T>(work: () => T): T => {
    if (depth > 0) return work()
    db.exec('BEGIN IMMEDIATE')
    depth++
    try {
      const result = work()
      db.exec('COMMIT')
      return result
    } catch (error) {
      db.exec('ROLLBACK')
      throw error
    } finally {
      depth--
    }
  }
  migrate(db, transaction)
  const secret = db.prepare("SELECT value FROM meta WHERE key = 'secret'").get()?.value as string
  return {
    all: (sql, ...values) => prepare(sql).all(...values) as Row[],
    one: (sql, ...values) => prepare(sql).get(...values) as Row | undefined,
    run: (sql, ...values) => ({ changes: Number(prepare(sql).run(...values).changes) }),
    transaction,
    flush() {
      const fd = openSync(`${path}-wal`, 'r')
      try {
        fsyncSync(fd)
      } finally {
        closeSync(fd)
      }
    },
    secret,
    [Symbol.dispose]: () => db.close(),
  }
}

function migrate(db: DatabaseSync, transaction: <T>(work: () => T) => T): void {
  const version = () => Number(db.prepare('PRAGMA user_version').get()?.user_version)
  if (version() === MIGRATIONS.length) return
  if (version() > MIGRATIONS.length) {
    throw new TcomposeError('UNSUPPORTED', 'the state root was written by a newer tcompose', {
      hint: 'use that version, or move TCOMPOSE_ROOT to another directory',
    })
  }
  transaction(() => {
    // Another process may have done it while this one waited for the write lock.
    for (let next = version(); next < MIGRATIONS.length; next++) db.exec(MIGRATIONS[next] as string)
    db.exec(`PRAGMA user_version = ${MIGRATIONS.length}`)
  })
}
