import type { Database, Row } from '../state/database.ts'
import type { EnginePaths } from '../state/paths.ts'
import { watchDatabaseChanges } from './database-changes.ts'
import type { EngineEvent, Events } from './types.ts'
import { createWake } from './wake.ts'

/** Events kept for those who ask for the past; Docker keeps 256. */
const KEPT = 4096
const TRIM_EVERY = 256
const PAGE = 512

const COLUMNS = 'sequence, CAST(time_ns AS TEXT) AS time_ns, type, action, actor_id, attributes'

/** The event feed of a state root: a bounded table, watched by any number of processes. */
export function createEvents(db: Database, paths: Pick<EnginePaths, 'database'>): Events {
  const changes = watchDatabaseChanges(paths.database)
  const lastSequence = (): number => Number(db.one('SELECT max(sequence) AS last FROM events')?.last ?? 0)
  return {
    emit(event) {
      db.transaction(() => {
        db.run(
          'INSERT INTO events (time_ns, type, action, actor_id, attributes) VALUES (?, ?, ?, ?, ?)',
          nowNs(),
          event.type,
          event.action,
          event.actorId,
          JSON.stringify(event.attributes),
        )
        const last = lastSequence()
        if (last % TRIM_EVERY === 0) db.run('DELETE FROM events WHERE sequence <= ?', last - KEPT)
      })
      changes.announce()
    },
    lastSequence,
    async *watch(query, signal) {
      const until = query.untilNs === undefined ? undefined : BigInt(query.untilNs)
      const past = query.sinceSequence !== undefined || query.sinceNs !== undefined
      let after = past ? (query.sinceSequence ?? 1) - 1 : lastSequence()
      const since = BigInt(query.sinceNs ?? 0)
      const wake = createWake()
      using _subscription = query.live ? changes.subscribe(wake.ring) : undefined
      while (!signal?.aborted) {
        const rows = db.all(`SELECT ${COLUMNS} FROM events WHERE sequence > ? ORDER BY sequence LIMIT ${PAGE}`, after)
        for (const row of rows) {
          const event = parse(row)
          after = event.sequence
          const time = BigInt(event.timeNs)
          if (until !== undefined && time > until) return
          if (time >= since) yield event
          if (signal?.aborted) return
        }
        if (rows.length === PAGE) continue
        const leftMs = until === undefined ? undefined : Number((until - nowNs()) / 1_000_000n)
        if (!query.live || (leftMs !== undefined && leftMs < 0)) return
        await wake.wait(leftMs, signal)
      }
    },
  }
}

function parse(row: Row): EngineEvent {
  return {
    sequence: row.sequence as number,
    timeNs: row.time_ns as string,
    type: row.type as EngineEvent['type'],
    action: row.action as string,
    actorId: row.actor_id as string,
    attributes: JSON.parse(row.attributes as string) as Record<string, string>,
  }
}

/** The clock gives milliseconds; the rest tells events of one process apart. */
function nowNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n + (process.hrtime.bigint() % 1_000_000n)
}
