import { expect, test } from 'vitest'
import { editDistance, nearest } from '../../../src/cli/suggest.ts'

const VERBS = ['up', 'down', 'ps', 'logs', 'restart', 'start', 'stop', 'exec', 'images', 'image']

test.each([
  ['dwon', 'down'],
  ['logss', 'logs'],
  ['restrat', 'restart'],
  ['exce', 'exec'],
  ['psx', 'ps'],
])('%s is taken for %s', (word, verb) => {
  expect(nearest(word, VERBS)).toBe(verb)
})

test('a word that is like nothing has no suggestion', () => {
  expect(nearest('frobnicate', VERBS)).toBeUndefined()
})

test('a beginning is completed when it is the only one', () => {
  expect(nearest('rest', VERBS)).toBe('restart')
})

test('swaps count once', () => {
  expect(editDistance('ab', 'ba')).toBe(1)
})
