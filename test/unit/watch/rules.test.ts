import { expect, test } from 'vitest'
import { decideWork, isEphemeral, relativeInside, type WatchRule } from '../../../src/watch/rules.ts'

function rule(change: Partial<WatchRule>): WatchRule {
  return {
    service: 'web',
    action: 'sync',
    path: '/p/src',
    target: '/app',
    ignores: () => false,
    prunes: () => false,
    initialSync: false,
    exec: undefined,
    ...change,
  }
}

const plain = (rules: readonly WatchRule[], changed: readonly string[]) =>
  decideWork(rules, changed).map((work) => ({ ...work, sync: Object.fromEntries(work.sync) }))

test('a file below a sync path goes to the same place below the target', () => {
  expect(plain([rule({})], ['/p/src/a/b.ts'])).toEqual([
    { service: 'web', rebuild: false, restart: false, sync: { '/p/src/a/b.ts': '/app/a/b.ts' }, execs: [] },
  ])
})

test('a rule for one file maps it to its target', () => {
  expect(plain([rule({ path: '/p/x.conf', target: '/etc/x.conf' })], ['/p/x.conf'])[0]?.sync).toEqual({
    '/p/x.conf': '/etc/x.conf',
  })
})

test('the first rule of a service that matches wins', () => {
  const rules = [rule({ action: 'rebuild', path: '/p/src/package.json', target: undefined }), rule({})]
  expect(plain(rules, ['/p/src/package.json', '/p/src/a.ts'])).toEqual([
    { service: 'web', rebuild: true, restart: false, sync: {}, execs: [] },
  ])
})

test('several services act on one change', () => {
  expect(
    plain([rule({}), rule({ service: 'worker', target: '/w' })], ['/p/src/a.ts']).map((work) => work.service),
  ).toEqual(['web', 'worker'])
})

test('ignored paths and paths outside ask for nothing', () => {
  expect(
    plain(
      [rule({ ignores: (path) => path.startsWith('node_modules') })],
      ['/p/src/node_modules/x', '/p/other', '/p/srcfoo'],
    ),
  ).toEqual([])
})

test('sync+restart restarts, sync+exec runs its command once for many files', () => {
  const exec = { command: ['reload'], user: undefined, privileged: false, workingDir: undefined, environment: [] }
  expect(plain([rule({ action: 'sync+restart' })], ['/p/src/a'])[0]).toMatchObject({ restart: true })
  expect(plain([rule({ action: 'sync+exec', exec })], ['/p/src/a', '/p/src/b'])[0]?.execs).toEqual([exec])
})

test.each([
  ['/a', '/a', ''],
  ['/a', '/a/b/c', 'b/c'],
  ['/a', '/ab', undefined],
  ['/a/b', '/a', undefined],
  ['/a', '/a/..b', '..b'],
])('%s holds %s as %s', (root, path, inside) => {
  expect(relativeInside(root, path)).toBe(inside)
})

test.each(['.git/HEAD', 'a/.git/x', 'x.swp', 'src/.x.ts.swx', 'a~', '4913', '.#lock', '#auto#', '.DS_Store'])(
  '%s is an editor’s or Git’s',
  (path) => {
    expect(isEphemeral(path)).toBe(true)
  },
)

test.each(['src/a.ts', 'gitignore', '.gitignore', 'a.swift', 'notes.tmp'])('%s is of interest', (path) => {
  expect(isEphemeral(path)).toBe(false)
})
