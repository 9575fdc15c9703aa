import { expect, test } from 'vitest'
import { splitWords } from '../../../src/base/words.ts'

test.each([
  ['a b  c', ['a', 'b', 'c']],
  ["a 'b c' d", ['a', 'b c', 'd']],
  ['a "b \\" c" d', ['a', 'b " c', 'd']],
  ['a\\ b', ['a b']],
  ["''", ['']],
  ['', []],
])('%j', (text, words) => {
  expect(splitWords(text)).toEqual(words)
})

test('an open quote is an error', () => {
  expect(() => splitWords("a 'b")).toThrow("unclosed '")
})
