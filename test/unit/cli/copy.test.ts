import { describe, expect, test } from 'vitest'
import { landing } from '../../../src/cli/copy.ts'

const base = {
  sourceName: 'src',
  sourceIsDirectory: false,
  contentOnly: false,
  targetKind: 'missing',
  parentExists: true,
} as const

describe("where a copy lands, by docker cp's rules", () => {
  test('a file onto a directory goes into it', () => {
    expect(landing({ ...base, target: '/dst', targetKind: 'directory' })).toEqual({ directory: '/dst', name: 'src' })
  })
  test('a file onto a name that is free gets that name', () => {
    expect(landing({ ...base, target: '/dst/new' })).toEqual({ directory: '/dst', name: 'new' })
  })
  test('a file onto a missing name with a slash is an error', () => {
    expect(() => landing({ ...base, target: '/dst/new/' })).toThrow('does not exist')
  })
  test('a directory onto a directory goes into it, its content with /.', () => {
    const one = { ...base, sourceIsDirectory: true, target: '/dst', targetKind: 'directory' } as const
    expect(landing(one)).toEqual({ directory: '/dst', name: 'src' })
    expect(landing({ ...one, contentOnly: true })).toEqual({ directory: '/dst', name: '' })
  })
  test('a directory onto a free name becomes that name', () => {
    expect(landing({ ...base, sourceIsDirectory: true, target: '/dst/new' })).toEqual({
      directory: '/dst',
      name: 'new',
    })
  })
  test('a directory onto a file is an error', () => {
    expect(() => landing({ ...base, sourceIsDirectory: true, target: '/dst', targetKind: 'file' })).toThrow(
      'cannot copy directory onto file',
    )
  })
  test('a missing parent is an error', () => {
    expect(() => landing({ ...base, target: '/no/where', parentExists: false })).toThrow('no such directory: /no')
  })
})
