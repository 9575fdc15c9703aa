import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { createObjectScan, readFirstObject } from '../../../src/api/hijack.ts'
import { stepText } from '../../../src/api/routes/build.ts'
import { controllers } from '../../../src/api/wire/host-facts.ts'
import { readImageConfig } from '../../../src/api/wire/image-config.ts'
import { matchesLabel } from '../../../src/api/wire/label.ts'
import { readRegistryAuth, readRegistryConfig, registryHost } from '../../../src/api/wire/registry-auth.ts'
import { untilTime } from '../../../src/api/wire/until.ts'

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

describe('credentials of a client', () => {
  test('come as name and password, as both joined, or as an identity token', () => {
    expect(readRegistryAuth(encode({ username: 'u', password: 'p', serveraddress: 'x' }))).toEqual({
      username: 'u',
      password: 'p',
    })
    expect(readRegistryAuth(encode({ auth: Buffer.from('u:a:b').toString('base64') }))).toEqual({
      username: 'u',
      password: 'a:b',
    })
    expect(readRegistryAuth(encode({ identitytoken: 't' }))).toEqual({ username: '', password: '', identityToken: 't' })
  })

  test('may be none', () => {
    for (const none of [undefined, '', encode({}), encode({ username: '' })])
      expect(readRegistryAuth(none)).toBe(undefined)
  })

  test('are refused when they cannot be read or used', () => {
    expect(() => readRegistryAuth('%%%')).toThrow('invalid X-Registry-Auth header')
    expect(() => readRegistryAuth(encode({ registrytoken: 't' }))).toThrow('registry tokens are not supported')
  })

  test('for a build are by registry host', () => {
    const header = encode({
      'https://index.docker.io/v1/': { username: 'h', password: 'p' },
      'localhost:5000': { username: 'l', password: 'q' },
      'empty.example': {},
    })
    expect(Object.keys(readRegistryConfig(header))).toEqual(['docker.io', 'localhost:5000'])
    expect(registryHost('https://ghcr.io/v2/')).toBe('ghcr.io')
  })
})

describe('a body that goes on after its JSON', () => {
  test('is read up to the end of the object, over chunks, braces in strings apart', async () => {
    const body = Readable.from([Buffer.from(' {"a":{"b":"}\\""'), Buffer.from('}}rest'), Buffer.from(' more')], {
      objectMode: false,
    })
    expect(await readFirstObject(body)).toBe(' {"a":{"b":"}\\""}}')
    let rest = ''
    for await (const chunk of body) rest += String(chunk)
    expect(rest).toBe('rest more')
  })

  test('may have none', async () => {
    expect(await readFirstObject(Readable.from([], { objectMode: false }))).toBe('')
    expect(createObjectScan()(Buffer.from('[1]'))).toBe('none')
  })
})

test('until is a Unix time, a date, or how long ago', () => {
  expect(untilTime('1700000000')).toBe('2023-11-14T22:13:20.000Z')
  expect(untilTime('2024-01-02T03:04:05Z')).toBe('2024-01-02T03:04:05.000Z')
  expect(untilTime('1h30m', 1700000000_000)).toBe('2023-11-14T20:43:20.000Z')
  expect(() => untilTime('soon')).toThrow("invalid filter 'until=soon'")
})

test('labels match by key or by key and value, which may have equals signs', () => {
  expect(matchesLabel({ a: 'b=c' }, 'a')).toBe(true)
  expect(matchesLabel({ a: 'b=c' }, 'a=b=c')).toBe(true)
  expect(matchesLabel({ a: 'b' }, 'a=')).toBe(false)
  expect(matchesLabel({}, 'toString')).toBe(false)
})

test('of a container configuration what an image has is taken', () => {
  expect(
    readImageConfig({ Hostname: 'x', Cmd: ['a'], Env: ['A=b'], ExposedPorts: { '80/tcp': {} }, Labels: null }),
  ).toEqual({
    Cmd: ['a'],
    Env: ['A=b'],
    ExposedPorts: { '80/tcp': {} },
  })
})

test('controllers are those that are enabled, of both hierarchies', () => {
  const proc = '#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t1\t33\t1\nmemory\t0\t33\t0\n'
  expect([...controllers(proc, 'pids io\n')]).toEqual(['cpu', 'pids', 'io'])
})

test('the steps of a build are written as the classic builder wrote them', () => {
  expect(stepText('[2/5] RUN [ 1/2 = 3 ]')).toBe('Step 2/5 : RUN [ 1/2 = 3 ]')
  expect(stepText('[build stage 10/12] COPY a b')).toBe('Step 10/12 : COPY a b')
  expect(stepText('exporting to image')).toBe('exporting to image')
})
