import { expect, test } from 'vitest'
import { readLocalOptions } from '../../../src/engine/volumes/local-mount.ts'

const read = (options: Record<string, string>) => readLocalOptions('v', options)

test('without options a volume is a directory', () => {
  expect(read({})).toEqual({ kind: 'directory' })
})

test('a bind is the directory it names', () => {
  expect(read({ type: 'none', o: 'bind', device: '/srv/data' })).toEqual({ kind: 'bind', path: '/srv/data' })
  expect(read({ o: 'rw,bind', device: '/srv/data' })).toEqual({ kind: 'bind', path: '/srv/data' })
  expect(() => read({ o: 'bind', device: 'data' })).toThrow('must be an absolute path')
})

test('anything else is a mount', () => {
  expect(read({ type: 'nfs', o: 'addr=192.0.2.1,rw', device: ':/export' })).toEqual({
    kind: 'mount',
    type: 'nfs',
    device: ':/export',
    options: 'addr=192.0.2.1,rw',
  })
  expect(read({ type: 'tmpfs', device: 'tmpfs' })).toMatchObject({ kind: 'mount', type: 'tmpfs', options: '' })
})

test('what is missing, unknown or cannot be done is named', () => {
  expect(() => read({ type: 'tmpfs' })).toThrow('missing device')
  expect(() => read({ device: '/dev/x' })).toThrow('missing type')
  expect(() => read({ mode: '1' })).toThrow('invalid option: "mode"')
  expect(() => read({ size: '1g' })).toThrow('quota')
})
