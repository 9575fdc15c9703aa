import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { observe, selfIdentity } from '../../../src/engine/containers/observe.ts'
import { INITIAL_STATE, type StoredState } from '../../../src/engine/containers/store.ts'

const BOOT = 'this-boot'
const self = selfIdentity()
const dead = { pid: self.pid, start: '1' }

let bundle = ''
beforeEach(() => {
  bundle = mkdtempSync(`${tmpdir()}/tcompose-observe-`)
})
afterEach(() => rmSync(bundle, { recursive: true, force: true }))

function state(changes: Partial<StoredState>): StoredState {
  return { ...INITIAL_STATE, bootId: BOOT, ...changes }
}

const running = (shim: { pid: number; start: string }) =>
  state({ status: 'running', pid: 7, pidStart: '9', shimPid: shim.pid, shimStart: shim.start, startedAt: 'then' })

const writeExit = (text: string) => writeFileSync(`${bundle}/exit`, text)
const writePid = () => writeFileSync(`${bundle}/pid`, `${self.pid} ${self.start}\n`)

describe('a container that the record holds for running', () => {
  test('runs while its shim lives and has written no exit', () => {
    const before = running(self)
    expect(observe(before, bundle, BOOT)).toEqual({ state: before, news: 'none', shimKilled: false })
  })

  test('has ended as its exit record says, whether or not the shim still lives', () => {
    writeExit('3 0 1 1700000000123456789 some words\n')
    for (const shim of [self, dead]) {
      const seen = observe(running(shim), bundle, BOOT)
      expect(seen).toMatchObject({
        news: 'ended',
        shimKilled: false,
        state: {
          status: 'exited',
          exitCode: 3,
          oomKilled: true,
          error: 'some words',
          startedAt: 'then',
          finishedAt: '2023-11-14T22:13:20.123456789Z',
          pid: 0,
          shimPid: 0,
        },
      })
    }
  })

  test('has lost its shim when that is gone without an exit record', () => {
    expect(observe(running(dead), bundle, BOOT)).toMatchObject({
      news: 'ended',
      shimKilled: true,
      state: { status: 'exited', exitCode: 137, error: 'its shim was killed' },
    })
  })

  test('went down with the machine when that was booted since, whatever now has its pid', () => {
    writeExit('0 0 0 1\n')
    expect(observe(running(self), bundle, 'next-boot')).toMatchObject({
      news: 'ended',
      shimKilled: false,
      state: { status: 'exited', exitCode: 255 },
    })
  })

  test('paused ones are looked at as well', () => {
    expect(observe({ ...running(dead), status: 'paused' }, bundle, BOOT).news).toBe('ended')
  })
})

describe('a start that was cut short', () => {
  const starting = (shim: { pid: number; start: string }, holder: { pid: number; start: string }) =>
    state({ status: 'exited', before: 'exited', phase: 'starting', holder, shimPid: shim.pid, shimStart: shim.start })

  test('under way it shows what it was before', () => {
    expect(observe(starting(self, self), bundle, BOOT)).toMatchObject({ news: 'none', state: { status: 'exited' } })
  })

  test('before the shim was noted: nothing ran', () => {
    const seen = observe(starting({ pid: 0, start: '' }, dead), bundle, BOOT)
    expect(seen).toMatchObject({ news: 'aborted', state: { status: 'exited', shimPid: 0 } })
    expect(seen.state.phase).toBeUndefined()
  })

  test('after the shim was told: it runs', () => {
    writePid()
    expect(observe(starting(self, dead), bundle, BOOT)).toMatchObject({
      news: 'running',
      state: { status: 'running', pid: self.pid, pidStart: self.start },
    })
  })

  test('and its shim killed afterwards: it ended so', () => {
    writePid()
    expect(observe(starting(dead, dead), bundle, BOOT)).toMatchObject({ news: 'ended', shimKilled: true })
  })

  test('and ended meanwhile: the exit record counts', () => {
    writePid()
    writeExit('5 0 0 1\n')
    expect(observe(starting(dead, dead), bundle, BOOT)).toMatchObject({ news: 'ended', state: { exitCode: 5 } })
  })

  test('in another boot: nothing runs', () => {
    writePid()
    expect(observe(starting(self, self), bundle, 'next-boot')).toMatchObject({ news: 'aborted' })
  })
})

test('a container that does not run is not looked at', () => {
  writeExit('9 0 0 1\n')
  for (const status of ['created', 'exited', 'restarting', 'dead'] as const) {
    expect(observe(state({ status }), bundle, BOOT).news).toBe('none')
  }
})
