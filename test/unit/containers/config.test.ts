import { describe, expect, test } from 'vitest'
import { cleanPath, mergeConfig, mergeEnv, processEnv } from '../../../src/engine/containers/config.ts'
import type { ContainerSpec } from '../../../src/engine/containers/spec.ts'
import type { ImageRunConfig } from '../../../src/engine/images/types.ts'

const ID = '0123456789abcdef'.repeat(4)

function merge(spec: Partial<ContainerSpec>, image: ImageRunConfig = {}) {
  return mergeConfig({ name: 'c', image: 'i', network: { kind: 'none' }, command: ['true'], ...spec }, image, ID)
}

describe('entrypoint and command', () => {
  const image = { Entrypoint: ['/entry'], Cmd: ['serve'] }
  const run = (spec: Partial<ContainerSpec>) => {
    const { entrypoint, command } = merge({ command: undefined, ...spec }, image)
    return [entrypoint, command]
  }

  test('both come from the image', () => expect(run({})).toEqual([['/entry'], ['serve']]))
  test('a command replaces the image command alone', () => expect(run({ command: ['a'] })).toEqual([['/entry'], ['a']]))
  test('an empty command inherits', () => expect(run({ command: [] })).toEqual([['/entry'], ['serve']]))
  test('an entrypoint drops the image command', () => expect(run({ entrypoint: ['/x'] })).toEqual([['/x'], []]))
  test('an entrypoint with a command takes both', () =>
    expect(run({ entrypoint: ['/x'], command: ['a'] })).toEqual([['/x'], ['a']]))
  test('an empty entrypoint drops the image entrypoint and keeps its command', () =>
    expect(run({ entrypoint: [] })).toEqual([[], ['serve']]))
  test("an entrypoint of '' drops both, and nothing to run is an error", () => {
    expect(run({ entrypoint: [''], command: ['a'] })).toEqual([[], ['a']])
    expect(() => run({ entrypoint: [''] })).toThrow('no command specified')
  })
})

describe('environment', () => {
  test('a later value takes the place of an earlier one, in its place', () => {
    expect(mergeEnv(['A=1', 'B=2'], ['C=3', 'A=4'])).toEqual(['A=4', 'B=2', 'C=3'])
  })
  test('a name without a value takes the variable away', () => {
    expect(mergeEnv(['A=1', 'B=2'], ['A'])).toEqual(['B=2'])
  })
  test('values may hold equals signs and be empty', () => {
    expect(mergeEnv(['A=x=y'], ['A='])).toEqual(['A='])
  })
  test('a process sees PATH, HOSTNAME and, on a tty, TERM before the rest', () => {
    const config = merge({ env: ['B=spec', 'PATH=/own'] }, { Env: ['A=image', 'B=image'] })
    expect(processEnv(config, 'host1', true)).toEqual([
      'PATH=/own',
      'HOSTNAME=host1',
      'TERM=xterm',
      'A=image',
      'B=spec',
    ])
    expect(processEnv(merge({}), 'host1', false)).toEqual([
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'HOSTNAME=host1',
    ])
  })
})

describe('healthcheck', () => {
  const image = { Healthcheck: { Test: ['CMD', 'probe'], Interval: 7e9, Retries: 9 } }
  test('the image gives it, defaults fill it', () => {
    expect(merge({}, image).healthcheck).toEqual({
      test: ['CMD', 'probe'],
      intervalNs: 7e9,
      timeoutNs: 30e9,
      startPeriodNs: 0,
      startIntervalNs: 5e9,
      retries: 9,
    })
  })
  test('timings alone change the one of the image', () => {
    expect(merge({ healthcheck: { retries: 2 } }, image).healthcheck).toMatchObject({
      test: ['CMD', 'probe'],
      retries: 2,
    })
  })
  test('NONE turns it off', () => expect(merge({ healthcheck: { test: ['NONE'] } }, image).healthcheck).toBeUndefined())
  test('an unknown kind is refused', () =>
    expect(() => merge({ healthcheck: { test: ['FROB'] } })).toThrow('unknown healthcheck type "FROB"'))
})

test('the rest is the spec, then the image, then Docker', () => {
  expect(merge({})).toMatchObject({
    user: '',
    workingDir: '/',
    stopSignal: 'SIGTERM',
    stopTimeoutSeconds: 10,
    hostname: '0123456789ab',
  })
  const image = {
    User: 'web',
    WorkingDir: '/srv/',
    StopSignal: 'SIGQUIT',
    ExposedPorts: { '80/tcp': {} },
    Volumes: { '/data/': {} },
  }
  expect(merge({ exposedPorts: ['81', '80/tcp', '53/udp'] }, image)).toMatchObject({
    user: 'web',
    workingDir: '/srv',
    stopSignal: 'SIGQUIT',
    exposedPorts: ['80/tcp', '81/tcp', '53/udp'],
    volumes: ['/data'],
  })
  expect(merge({ user: 'me', workingDir: '/w', stopSignal: 'HUP' }, image)).toMatchObject({
    user: 'me',
    workingDir: '/w',
    stopSignal: 'HUP',
  })
})

test('what cannot be is refused', () => {
  expect(() => merge({ workingDir: 'relative' })).toThrow("the working directory 'relative' is invalid")
  expect(() => merge({ stopSignal: 'FROB' })).toThrow('invalid signal: FROB')
  expect(() => merge({ exposedPorts: ['x'] })).toThrow('invalid exposed port "x"')
})

test('paths are cleaned as Go cleans them', () => {
  expect(['/', '//a//b/', '/a/../../b', 'x/.'].map(cleanPath)).toEqual(['/', '/a/b', '/b', '/x'])
})
