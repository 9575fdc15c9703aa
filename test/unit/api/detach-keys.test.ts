import { expect, test } from 'vitest'
import { parseDetachKeys, watchDetachKeys } from '../../../src/api/wire/detach-keys.ts'

test('keys are characters and control characters', () => {
  expect(parseDetachKeys('ctrl-p,ctrl-q')).toEqual([16, 17])
  expect(parseDetachKeys('a,ctrl-@,ctrl-[')).toEqual([97, 0, 27])
  for (const bad of ['', 'ctrl-1', 'ab', 'ctrl-p,,a']) expect(() => parseDetachKeys(bad)).toThrow('Invalid escape keys')
})

/** What comes through of the chunks, and whether the keys were seen. */
function feed(keys: string, ...chunks: readonly string[]): readonly [string, boolean] {
  const watch = watchDetachKeys(parseDetachKeys(keys))
  let passed = ''
  for (const chunk of chunks) {
    const { pass, detached } = watch.take(Buffer.from(chunk))
    passed += pass.toString()
    if (detached) return [passed, true]
  }
  return [passed, false]
}

test('the keys let go, also over chunks, and are not passed on; what comes after them is dropped', () => {
  expect(feed('ctrl-p,ctrl-q', 'ls\x10\x11more')).toEqual(['ls', true])
  expect(feed('ctrl-p,ctrl-q', 'ls\x10', '\x11')).toEqual(['ls', true])
})

test('what only begins like the keys is passed on as soon as it turns out to be none', () => {
  expect(feed('ctrl-p,ctrl-q', 'a\x10')).toEqual(['a', false])
  expect(feed('ctrl-p,ctrl-q', 'a\x10', 'b')).toEqual(['a\x10b', false])
  expect(feed('ctrl-p,ctrl-q', '\x10\x10\x11')).toEqual(['\x10', true])
  expect(feed('a,a,b', 'aaab')).toEqual(['a', true])
  expect(feed('a,b,a,c', 'ababac')).toEqual(['ab', true])
})
