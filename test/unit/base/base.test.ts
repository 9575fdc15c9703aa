import { expect, test } from 'vitest'
import { createLimiter, mapConcurrent } from '../../../src/base/concurrency.ts'
import { formatDurationNs, humanDuration, parseDurationNs } from '../../../src/base/duration.ts'
import { familiarReference, formatReference, parseReference, withDefaultTag } from '../../../src/base/reference.ts'
import { formatSize, parseSizeBytes } from '../../../src/base/size.ts'

test.each([
  ['1m30s', 90e9, '1m30s'],
  ['1.5h', 5400e9, '1h30m0s'],
  ['500ms', 5e8, '500ms'],
  ['0', 0, '0s'],
  ['2d', 172800e9, '48h0m0s'],
  ['-2s', -2e9, '-2s'],
  ['1.5s', 1.5e9, '1.5s'],
  ['10us', 1e4, '10µs'],
])('duration %s', (text, ns, printed) => {
  expect(parseDurationNs(text)).toBe(ns)
  expect(formatDurationNs(ns)).toBe(printed)
})

test.each(['', '5', 's', '1x', '1m 30s'])('duration %j is refused', (text) => {
  expect(() => parseDurationNs(text)).toThrow(/invalid duration/)
})

test('durations for people', () => {
  expect([0, 1e3, 59e3, 60e3, 120e3, 3600e3, 50 * 3600e3].map(humanDuration)).toEqual([
    'Less than a second',
    '1 second',
    '59 seconds',
    'About a minute',
    '2 minutes',
    'About an hour',
    '2 days',
  ])
})

test.each([
  ['64m', 67108864],
  ['1.5g', 1610612736],
  ['2048', 2048],
  ['1gb', 1073741824],
  ['1GiB', 1073741824],
  ['10B', 10],
])('size %s', (text, bytes) => {
  expect(parseSizeBytes(text)).toBe(bytes)
})

test('sizes for people have three digits', () => {
  expect([999, 13_300, 1_240_000_000].map(formatSize)).toEqual(['999B', '13.3kB', '1.24GB'])
})

test.each([
  ['nginx', 'docker.io/library/nginx', 'nginx'],
  ['nginx:1.22', 'docker.io/library/nginx:1.22', 'nginx:1.22'],
  ['a/b', 'docker.io/a/b', 'a/b'],
  ['localhost/x', 'localhost/x', 'localhost/x'],
  ['localhost:5000/x:y', 'localhost:5000/x:y', 'localhost:5000/x:y'],
  ['ghcr.io/a/b/c', 'ghcr.io/a/b/c', 'ghcr.io/a/b/c'],
  ['docker.io/nginx', 'docker.io/library/nginx', 'nginx'],
  [`x@sha256:${'a'.repeat(64)}`, `docker.io/library/x@sha256:${'a'.repeat(64)}`, `x@sha256:${'a'.repeat(64)}`],
])('reference %s', (text, full, familiar) => {
  expect(formatReference(parseReference(text))).toBe(full)
  expect(familiarReference(parseReference(text))).toBe(familiar)
})

test.each(['Nginx', 'a:b:c', '', 'x@sha256:12', '../x', 'a//b', `x:${'t'.repeat(200)}`])(
  'reference %j is refused',
  (text) => {
    expect(() => parseReference(text)).toThrow(text === 'a'.repeat(64) ? /64-byte|invalid/ : /invalid reference/)
  },
)

test('a reference without tag and digest means latest', () => {
  expect(withDefaultTag(parseReference('x')).tag).toBe('latest')
})

test('no more than the limit run at once, and all run', async () => {
  let active = 0
  let most = 0
  const limiter = createLimiter(3)
  const work = async () => {
    most = Math.max(most, ++active)
    await new Promise((resolve) => setImmediate(resolve))
    active--
  }
  await Promise.all(Array.from({ length: 20 }, () => limiter.run(work)))
  expect(most).toBe(3)
})

test('mapConcurrent keeps the order and stops after a failure', async () => {
  expect(await mapConcurrent([3, 1, 2], 2, async (n) => n * 2)).toEqual([6, 2, 4])
  const started: number[] = []
  const failing = mapConcurrent([1, 2, 3, 4, 5], 1, async (n) => {
    started.push(n)
    if (n === 2) throw new Error('two')
  })
  await expect(failing).rejects.toThrow('two')
  expect(started).toEqual([1, 2])
})
