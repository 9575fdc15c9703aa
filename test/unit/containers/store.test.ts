import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { mergeConfig } from '../../../src/engine/containers/config.ts'
import { createContainerStore, INITIAL_STATE, type StoredRecord } from '../../../src/engine/containers/store.ts'
import { type Database, openDatabase } from '../../../src/engine/state/database.ts'

let directory = ''
let db: Database
beforeEach(() => {
  directory = mkdtempSync(`${tmpdir()}/tcompose-store-`)
  db = openDatabase(`${directory}/state.db`)
})
afterEach(() => {
  db[Symbol.dispose]()
  rmSync(directory, { recursive: true, force: true })
})

const state = { ...INITIAL_STATE, bootId: 'b' }

function record(name: string, labels: Record<string, string> = {}): StoredRecord {
  const spec = { name, image: 'i', command: ['true'], network: { kind: 'none' } } as const
  const config = mergeConfig(spec, {}, 'f'.repeat(64))
  return { createdAt: 'now', spec, config, args: ['true'], labels, mounts: [], logPath: '', networkOrder: ['n2', 'n1'] }
}

test('a container is found by name, with a slash too, by id and by a prefix that is its own', () => {
  const store = createContainerStore(db)
  const first = `abc1${'0'.repeat(60)}`
  const second = `abc2${'0'.repeat(60)}`
  store.insert(first, 'one', 'sha256:x', record('one'), state)
  store.insert(second, 'two', 'sha256:x', record('two'), state)
  expect(store.resolve('one')?.id).toBe(first)
  expect(store.resolve('/two')?.id).toBe(second)
  expect(store.resolve(second)?.name).toBe('two')
  expect(store.resolve('abc1')?.name).toBe('one')
  expect(store.resolve('abd')).toBeUndefined()
  expect(store.resolve('')).toBeUndefined()
  expect(() => store.resolve('abc')).toThrow('multiple containers found with provided prefix: abc')
})

test('a name that looks like an id of another is the name', () => {
  const store = createContainerStore(db)
  store.insert(`abc1${'0'.repeat(60)}`, 'one', 'sha256:x', record('one'), state)
  store.insert('f'.repeat(64), 'abc1', 'sha256:x', record('abc1'), state)
  expect(store.resolve('abc1')?.id).toBe('f'.repeat(64))
})

test('a name is given once, also by renaming', () => {
  const store = createContainerStore(db)
  store.insert('a'.repeat(64), 'one', 'sha256:x', record('one'), state)
  store.insert('b'.repeat(64), 'two', 'sha256:x', record('two'), state)
  const text = `Conflict. The container name "/one" is already in use by container "${'a'.repeat(64)}".`
  expect(() => store.insert('c'.repeat(64), 'one', 'sha256:x', record('one'), state)).toThrow(text)
  expect(() => store.setName('b'.repeat(64), 'one')).toThrow(text)
  store.delete('a'.repeat(64))
  store.setName('b'.repeat(64), 'one')
  expect(store.resolve('one')?.id).toBe('b'.repeat(64))
})

test('endpoints come in the order they were asked for, ports as they are held', () => {
  const store = createContainerStore(db)
  const id = 'a'.repeat(64)
  store.insert(id, 'one', 'sha256:x', record('one'), state)
  for (const network of ['n1', 'n2', 'n3']) {
    db.run("INSERT INTO networks VALUES (?, ?, '{}')", network, network)
    db.run(
      'INSERT INTO endpoints (network_id, container_id, record) VALUES (?, ?, ?)',
      network,
      id,
      JSON.stringify({ networkId: network }),
    )
  }
  db.run("INSERT INTO ports VALUES (?, 'tcp', '', 8080, 80)", id)
  const found = store.byId(id)
  expect(found?.endpoints.map((endpoint) => endpoint.networkId)).toEqual(['n2', 'n1', 'n3'])
  expect(found?.ports).toEqual([{ containerPort: 80, protocol: 'tcp', hostIp: '', hostPort: 8080 }])
})

test('those of a project are found by its label', () => {
  const store = createContainerStore(db)
  store.insert('a'.repeat(64), 'one', 'sha256:x', record('one', { 'com.docker.compose.project': 'p' }), state)
  store.insert('b'.repeat(64), 'two', 'sha256:x', record('two'), state)
  expect(store.all({ project: 'p' }).map((container) => container.name)).toEqual(['one'])
  expect(store.all()).toHaveLength(2)
})
