import { expect, test } from 'vitest'
import { readLogSpec } from '../../../src/engine/containers/log-options.ts'

const MIB = 1024 * 1024

test('without a word a log is 10 MB three times', () => {
  expect(readLogSpec(undefined)).toEqual({
    driver: 'json-file',
    maxSizeBytes: 10 * MIB,
    maxFiles: 3,
    compress: false,
    labels: [],
    env: [],
  })
})

test('a size alone means one file, as in Docker; -1 is no bound', () => {
  expect(readLogSpec({ driver: 'json-file', options: { 'max-size': '1m' } })).toMatchObject({
    maxSizeBytes: MIB,
    maxFiles: 1,
  })
  expect(readLogSpec({ driver: 'json-file', options: { 'max-size': '-1' } })).toMatchObject({ maxSizeBytes: 0 })
})

test('all options are read', () => {
  const options = { 'max-size': '2k', 'max-file': '4', compress: 'true', labels: 'a,b', env: 'X', mode: 'non-blocking' }
  expect(readLogSpec({ driver: 'json-file', options })).toEqual({
    driver: 'json-file',
    maxSizeBytes: 2048,
    maxFiles: 4,
    compress: true,
    labels: ['a', 'b'],
    env: ['X'],
  })
})

test('local has defaults of its own', () => {
  expect(readLogSpec({ driver: 'local', options: {} })).toMatchObject({
    maxSizeBytes: 20 * MIB,
    maxFiles: 5,
    compress: true,
  })
})

test('none writes nothing', () => expect(readLogSpec({ driver: 'none', options: {} })).toEqual({ driver: 'none' }))

test('unknown options and drivers are named', () => {
  const read = (options: Record<string, string>) => () => readLogSpec({ driver: 'json-file', options })
  expect(read({ frob: '1' })).toThrow("unknown log opt 'frob' for json-file log driver")
  expect(read({ 'labels-regex': '1' })).toThrow("log opt 'labels-regex' is not supported")
  expect(read({ 'max-file': '0' })).toThrow('max-file cannot be less than 1')
  expect(read({ mode: 'x' })).toThrow('logging mode not supported: x')
  expect(() => readLogSpec({ driver: 'syslog', options: {} })).toThrow('logging driver syslog is not supported')
})
