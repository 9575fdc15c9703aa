import { expect, test } from 'vitest'
import { resolveUser } from '../../../src/runtime/user.ts'

const files = {
  passwd: 'root:x:0:0:root:/root:/bin/sh\n# a comment\n\nweb:x:33:34:web:/var/www:/bin/false\n1000:x:7:8::/seven:\n',
  group: 'root:x:0:root\nbin:x:1:root,web\nweb:x:34:\ndocker:x:999:web\nempty:x:5:\n',
}

test('no user is root with every group that lists it', () => {
  expect(resolveUser('', [], files)).toEqual({ uid: 0, gid: 0, additionalGids: [0, 0, 1], home: '/root' })
})

test('a name brings its group, its memberships and its home', () => {
  expect(resolveUser('web', [], files)).toEqual({ uid: 33, gid: 34, additionalGids: [34, 1, 999], home: '/var/www' })
})

test('a number is an id even where a name of the same digits exists', () => {
  expect(resolveUser('1000', [], files)).toEqual({ uid: 1000, gid: 0, additionalGids: [0], home: '/' })
  expect(resolveUser('33', [], files).gid).toBe(34)
})

test('an explicit group leaves the memberships out', () => {
  expect(resolveUser('web:docker', [], files)).toEqual({ uid: 33, gid: 999, additionalGids: [999], home: '/var/www' })
  expect(resolveUser('4:4', [], files)).toEqual({ uid: 4, gid: 4, additionalGids: [4], home: '/' })
  expect(resolveUser(':5', [], files)).toEqual({ uid: 0, gid: 5, additionalGids: [5], home: '/root' })
})

test('added groups are names or numbers', () => {
  expect(resolveUser('web', ['empty', '77'], files).additionalGids).toEqual([34, 1, 999, 5, 77])
})

test('names that are not there are errors in the words of Docker', () => {
  expect(() => resolveUser('nobody', [], files)).toThrow(
    'unable to find user nobody: no matching entries in passwd file',
  )
  expect(() => resolveUser('web:none', [], files)).toThrow(
    'unable to find group none: no matching entries in group file',
  )
  expect(() => resolveUser('web', ['none'], files)).toThrow('unable to find group none')
  expect(() => resolveUser('4294967295', [], files)).toThrow('uids and gids must be in range 0-2147483647')
})

test('a container without account files has numbers only', () => {
  const none = { passwd: undefined, group: undefined }
  expect(resolveUser('', [], none)).toEqual({ uid: 0, gid: 0, additionalGids: [0], home: '/' })
  expect(resolveUser('12:13', [], none)).toEqual({ uid: 12, gid: 13, additionalGids: [13], home: '/' })
})
