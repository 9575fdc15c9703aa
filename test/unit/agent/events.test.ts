import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createEvents } from '../../../src/engine/events/create-events.ts'
import type { EngineEvent, Events } from '../../../src/engine/events/types.ts'
import { type Database, openDatabase } from '../../../src/engine/state/database.ts'

let dir: string
let opened: Database[]

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'tct-events-'))
  opened = []
})
afterEach(() => {
  for (const db of opened) db[Symbol.dispose]()
  rmSync(dir, { recursive: true })
})

function open(): { db: Database; events: Events } {
  const database = join(dir, 'state.db')
  const db = openDatabase(database)
  opened.push(db)
  return { db, events: createEvents(db, { database }) }
}

function say(events: Events, action: string): void {
  events.emit({ type: 'container', action, actorId: 'c1', attributes: { name: 'web' } })
}

async function collect(source: AsyncIterable<EngineEvent>, count = Number.POSITIVE_INFINITY): Promise<string[]> {
  const seen: string[] = []
  for await (const event of source) {
    seen.push(event.action)
    if (seen.length === count) break
  }
  return seen
}

test('past events come in order, from a sequence or a time on', async () => {
  const { events } = open()
  for (const action of ['create', 'start', 'die']) say(events, action)
  expect(await collect(events.watch({ sinceSequence: 1, live: false }))).toEqual(['create', 'start', 'die'])
  expect(await collect(events.watch({ sinceSequence: 2, live: false }))).toEqual(['start', 'die'])
  expect(await collect(events.watch({ sinceNs: '0', live: false }))).toEqual(['create', 'start', 'die'])
  expect(await collect(events.watch({ sinceNs: `${Date.now() + 60_000}000000`, live: false }))).toEqual([])
  expect(await collect(events.watch({ live: false }))).toEqual([])
})

test('a watcher sees what another connection writes, without a gap between past and live', async () => {
  const one = open()
  const other = open()
  say(one.events, 'create')
  const seen = collect(one.events.watch({ sinceSequence: 1, live: true }), 4)
  await new Promise((resolve) => setImmediate(resolve))
  say(other.events, 'start')
  say(one.events, 'kill')
  other.db.transaction(() => say(other.events, 'die'))
  expect(await seen).toEqual(['create', 'start', 'kill', 'die'])
})

test('an event of a transaction that fails is never told', async () => {
  const { db, events } = open()
  const seen = collect(events.watch({ live: true }), 1)
  expect(() =>
    db.transaction(() => {
      say(events, 'create')
      throw new Error('undone')
    }),
  ).toThrow('undone')
  say(events, 'start')
  expect(await seen).toEqual(['start'])
})

test('aborting and the time limit end a live watch', async () => {
  const { events } = open()
  const controller = new AbortController()
  const aborted = collect(events.watch({ live: true }, controller.signal))
  controller.abort()
  expect(await aborted).toEqual([])
  expect(await collect(events.watch({ live: true, untilNs: `${Date.now() + 30}000000` }))).toEqual([])
})

test('the table is bounded and sequences go on', async () => {
  const { db, events } = open()
  db.transaction(() => {
    for (let n = 0; n < 6000; n++) say(events, 'tick')
  })
  expect(events.lastSequence()).toBe(6000)
  expect(db.one('SELECT count(*) AS count FROM events')?.count).toBeLessThanOrEqual(4096 + 256)
})
