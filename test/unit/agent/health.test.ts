import { describe, expect, test } from 'vitest'
import { afterProbe, type HealthPlan, healthPlan, nextProbeMs, STARTING } from '../../../src/agent/health.ts'
import type { HealthState } from '../../../src/engine/containers/types.ts'

const plan: HealthPlan = {
  command: ['check'],
  intervalMs: 10_000,
  timeoutMs: 1000,
  startPeriodMs: 0,
  startIntervalMs: 5000,
  retries: 3,
}
const START = Date.parse('2026-01-01T00:00:00Z')

function probe(health: HealthState, atMs: number, exitCode: number, own: HealthPlan = plan): HealthState {
  const result = { startMs: START + atMs, endMs: START + atMs + 10, exitCode, output: `at ${atMs}` }
  return afterProbe(health, own, result, START)
}

describe('the plan', () => {
  test('zero and absent timings are the defaults of Docker', () => {
    expect(healthPlan({ test: ['CMD', 'a', 'b'], intervalNs: 0 })).toEqual({
      command: ['a', 'b'],
      intervalMs: 30_000,
      timeoutMs: 30_000,
      startPeriodMs: 0,
      startIntervalMs: 5000,
      retries: 3,
    })
    expect(healthPlan({ test: ['CMD-SHELL', 'exit 1'], retries: 1 })).toMatchObject({
      command: ['/bin/sh', '-c', 'exit 1'],
      retries: 1,
    })
  })
  test('no test is no plan', () => {
    for (const spec of [undefined, {}, { test: [] }, { test: ['NONE'] }]) expect(healthPlan(spec)).toBeUndefined()
  })
})

describe('states', () => {
  test('a success is healthy at once, however early', () => {
    expect(probe(STARTING, 100, 0)).toMatchObject({ status: 'healthy', failingStreak: 0, log: [{ exitCode: 0 }] })
  })
  test('failures before the first interval count for nothing', () => {
    expect(probe(STARTING, 100, 1)).toBe(STARTING)
    expect(probe(STARTING, 9999, 1)).toBe(STARTING)
  })
  test('as many failures as retries in a row are unhealthy, and one success heals', () => {
    let health = STARTING
    for (const at of [10_000, 20_000]) health = probe(health, at, 1)
    expect(health).toMatchObject({ status: 'starting', failingStreak: 2 })
    health = probe(health, 30_000, 7)
    expect(health).toMatchObject({ status: 'unhealthy', failingStreak: 3 })
    health = probe(health, 40_000, 1)
    expect(health).toMatchObject({ status: 'unhealthy', failingStreak: 4 })
    health = probe(health, 50_000, 0)
    expect(health).toMatchObject({ status: 'healthy', failingStreak: 0 })
    health = probe(health, 60_000, 1)
    expect(health).toMatchObject({ status: 'healthy', failingStreak: 1 })
  })
  test('failures in the start period are shown and do not count; after a success they do', () => {
    const patient = { ...plan, startPeriodMs: 60_000 }
    let health = STARTING
    for (let at = 10_000; at < 60_000; at += 10_000) health = probe(health, at, 1, patient)
    expect(health).toMatchObject({ status: 'starting', failingStreak: 0 })
    expect(health.log).toHaveLength(5)
    let early = probe(STARTING, 1000, 0, patient)
    for (const at of [11_000, 21_000, 31_000]) early = probe(early, at, 1, patient)
    expect(early.status).toBe('unhealthy')
  })
  test('the last five results are kept', () => {
    let health = STARTING
    for (let n = 1; n <= 8; n++) health = probe(health, n * 10_000, 1)
    expect(health.log.map(({ output }) => output)).toEqual([4, 5, 6, 7, 8].map((n) => `at ${n}0000`))
    expect(health.log[0]?.start).toBe('2026-01-01T00:00:40.000Z')
  })
})

describe('pauses', () => {
  const next = (health: HealthState, made: number, atMs: number, own = plan): number =>
    nextProbeMs(health, own, made, START, START + atMs)

  test('the first probes come soon and then more seldom, up to the first interval', () => {
    let at = 0
    const times: number[] = []
    for (let made = 0; at < 10_000; made++) {
      at += next(STARTING, made, at)
      times.push(at)
    }
    expect(times).toEqual([100, 300, 700, 1500, 3100, 6300, 10_000])
  })
  test('no early pause is longer than the start interval or the interval', () => {
    expect(next(STARTING, 9, 1000, { ...plan, startIntervalMs: 500 })).toBe(500)
    expect(next(STARTING, 9, 0, { ...plan, intervalMs: 1000 })).toBe(1000)
  })
  test('in the start period it is the start interval, later and once healthy the interval', () => {
    const patient = { ...plan, startPeriodMs: 60_000 }
    expect(next(STARTING, 20, 20_000, patient)).toBe(5000)
    expect(next(STARTING, 20, 61_000, patient)).toBe(10_000)
    expect(next({ ...STARTING, status: 'healthy' }, 1, 200, patient)).toBe(10_000)
  })
})
