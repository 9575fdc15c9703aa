import { expect, test } from 'vitest'
import { createIgnoreMatcher, parseIgnoreFile } from '../../../src/dockerfile/ignore.ts'

const ignores = (patterns: readonly string[], path: string) => createIgnoreMatcher(patterns).ignores(path)

test('a name without slash matches at the top only, unlike in .gitignore', () => {
  expect(ignores(['node_modules'], 'node_modules/x')).toBe(true)
  expect(ignores(['node_modules'], 'a/node_modules')).toBe(false)
  expect(ignores(['**/node_modules'], 'a/node_modules/x')).toBe(true)
})

test('the last match wins', () => {
  expect(ignores(['*', '!keep', 'keep/not'], 'keep/this')).toBe(false)
  expect(ignores(['*', '!keep', 'keep/not'], 'keep/not')).toBe(true)
})

test('a directory is walked only if something below may be let in again', () => {
  const matcher = createIgnoreMatcher(['*', '!a/b/c'])
  expect(matcher.mayInclude('a')).toBe(true)
  expect(matcher.mayInclude('a/b')).toBe(true)
  expect(matcher.mayInclude('d')).toBe(false)
})

test('broken patterns are refused', () => {
  for (const pattern of ['[', '[^', '\\', '!', '[b-a]']) {
    expect(() => createIgnoreMatcher([pattern]), pattern).toThrow()
  }
})

test('an ignore file has comments, blanks and leading slashes', () => {
  expect(parseIgnoreFile('\ufeff# no\n\n /a/ \n! b\n')).toEqual(['a', '!b'])
})
