import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type ContainerEnd, restartDelayMs, startsAtBoot } from '../../../src/agent/restart.ts'
import { createRestarter, type Restarter } from '../../../src/agent/restarter.ts'
import type { Container } from '../../../src/engine/containers/types.ts'

const end = (change: Partial<ContainerEnd> = {}): ContainerEnd => ({
  policy: { name: 'always' },
  exitCode: 1,
  restartCount: 0,
  stoppedByUser: false,
  ranMs: 50,
  lastDelayMs: undefined,
  ...change,
})

describe('policies', () => {
  test('no policy starts nothing, always and unless-stopped start whatever the exit code', () => {
    expect(restartDelayMs(end({ policy: undefined }))).toBeUndefined()
    expect(restartDelayMs(end({ policy: { name: 'no' } }))).toBeUndefined()
    for (const name of ['always', 'unless-stopped'] as const) {
      for (const exitCode of [0, 1]) expect(restartDelayMs(end({ policy: { name }, exitCode }))).toBe(100)
    }
  })
  test('on-failure wants a failure, and counts', () => {
    const policy = { name: 'on-failure', maximumRetryCount: 2 } as const
    expect(restartDelayMs(end({ policy, exitCode: 0 }))).toBeUndefined()
    expect(restartDelayMs(end({ policy, restartCount: 1 }))).toBe(100)
    expect(restartDelayMs(end({ policy, restartCount: 2 }))).toBeUndefined()
    expect(restartDelayMs(end({ policy: { name: 'on-failure' }, restartCount: 99 }))).toBe(100)
  })
  test('nothing starts what a person has stopped', () => {
    expect(restartDelayMs(end({ stoppedByUser: true }))).toBeUndefined()
  })
  test('the pause doubles up to a minute and begins anew after ten seconds of running', () => {
    const pauses: number[] = []
    let lastDelayMs: number | undefined
    for (let n = 0; n < 12; n++) {
      lastDelayMs = restartDelayMs(end({ lastDelayMs })) as number
      pauses.push(lastDelayMs)
    }
    expect(pauses).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000])
    expect(restartDelayMs(end({ lastDelayMs: 60_000, ranMs: 10_000 }))).toBe(100)
  })
  test('a boot starts always, and unless-stopped unless stopped', () => {
    expect(startsAtBoot({ policy: { name: 'always' }, stoppedByUser: true })).toBe(true)
    expect(startsAtBoot({ policy: { name: 'unless-stopped' }, stoppedByUser: true })).toBe(false)
    expect(startsAtBoot({ policy: { name: 'unless-stopped' }, stoppedByUser: false })).toBe(true)
    expect(startsAtBoot({ policy: { name: 'on-failure' }, stoppedByUser: false })).toBe(false)
  })
})

describe('the restarter', () => {
  let calls: string[]
  let current: Container
  let fails: boolean
  let restarter: Restarter

  const exited = (second: number, state: Partial<Container['state']> = {}): Container =>
    ({
      id: 'c1',
      spec: { restart: { name: 'always' } },
      state: {
        status: 'exited',
        exitCode: 1,
        restartCount: 0,
        stoppedByUser: false,
        startedAt: `2026-01-01T00:00:0${second - 1}.9Z`,
        finishedAt: `2026-01-01T00:00:0${second}.0Z`,
        ...state,
      },
    }) as unknown as Container

  beforeEach(() => {
    vi.useFakeTimers()
    calls = []
    fails = false
    restarter = createRestarter({
      containers: {
        markRestarting: async (id, restarting) => void calls.push(`${restarting ? 'mark' : 'unmark'} ${id}`),
        startAgain: async (id) => {
          calls.push(`start ${id}`)
          if (fails) throw new Error('port is taken')
          return current
        },
        find: async () => current,
      },
      onStarted: () => {},
      onError: () => {},
    })
  })
  afterEach(() => {
    restarter.close()
    vi.useRealTimers()
  })

  test('one end is acted upon once, however often it is told', async () => {
    current = exited(1)
    for (let n = 0; n < 3; n++) restarter.consider(current)
    expect(restarter.pending).toBe(1)
    await vi.advanceTimersByTimeAsync(99)
    expect(calls).toEqual(['mark c1'])
    await vi.advanceTimersByTimeAsync(1)
    restarter.consider(current)
    await vi.advanceTimersByTimeAsync(1000)
    expect(calls).toEqual(['mark c1', 'start c1'])
    expect(restarter.pending).toBe(0)
  })

  test('the next end waits twice as long', async () => {
    restarter.consider(exited(1))
    await vi.advanceTimersByTimeAsync(100)
    restarter.consider(exited(2))
    await vi.advanceTimersByTimeAsync(199)
    expect(calls.filter((call) => call.startsWith('start'))).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(calls.filter((call) => call.startsWith('start'))).toHaveLength(2)
  })

  test('a person who stops it while it waits is obeyed', async () => {
    restarter.consider(exited(1))
    restarter.consider(exited(1, { stoppedByUser: true }))
    await vi.advanceTimersByTimeAsync(1000)
    expect(calls).toEqual(['mark c1'])
    expect(restarter.pending).toBe(0)
  })

  test('a container that is removed while it waits is forgotten', async () => {
    restarter.consider(exited(1))
    restarter.forget(new Set())
    await vi.advanceTimersByTimeAsync(1000)
    expect(calls).toEqual(['mark c1'])
  })

  test('what another agent left as restarting is taken up', async () => {
    restarter.consider(exited(1, { status: 'restarting' }))
    await vi.advanceTimersByTimeAsync(100)
    expect(calls).toContain('start c1')
  })

  test('a start that fails is tried again, later each time', async () => {
    current = exited(1)
    fails = true
    restarter.consider(current)
    await vi.advanceTimersByTimeAsync(100)
    await vi.advanceTimersByTimeAsync(199)
    expect(calls.filter((call) => call.startsWith('start'))).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(calls.filter((call) => call.startsWith('start'))).toHaveLength(2)
    current = exited(1, { stoppedByUser: true })
    await vi.advanceTimersByTimeAsync(10_000)
    expect(calls.filter((call) => call.startsWith('start'))).toHaveLength(3)
    expect(restarter.pending).toBe(0)
  })

  test('what was never started, or has not ended yet, is left alone', () => {
    restarter.consider(exited(1, { startedAt: '', finishedAt: '' }))
    restarter.consider(exited(1, { finishedAt: '' }))
    expect(restarter.pending).toBe(0)
  })
})
