// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are what is tested
import { expect, test } from 'vitest'
import { expand } from '../../../src/dockerfile/expand.ts'

const values: Readonly<Record<string, string>> = { name: 'web', empty: '', path: 'a/b/b.txt', two: 'x y' }
const text = (input: string) => expand(input, (name) => values[name]).text

test.each([
  ['$name', 'web'],
  ['${name}1', 'web1'],
  ["'$name'", '$name'],
  ['"$name"', 'web'],
  ['\\$name', '$name'],
  ['${none:-x}', 'x'],
  ['${empty-x}', ''],
  ['${empty:-x}', 'x'],
  ['${name:+y}', 'y'],
  ['${none+y}', ''],
  ['${path#*/}', 'b/b.txt'],
  ['${path##*/}', 'b.txt'],
  ['${path%.*}', 'a/b/b'],
  ['${path/b/c}', 'a/c/b.txt'],
  ['${path//b/c}', 'a/c/c.txt'],
])('%s is %s', (input, expected) => {
  expect(text(input)).toBe(expected)
})

test('a name that must be set is missed in its own words', () => {
  expect(() => text('${none:?give it}')).toThrow('failed to process "${none:?give it}": none: give it')
})

test('words are split where variables have blanks, not where quotes hold them', () => {
  expect(expand('$two "$two"', (name) => values[name]).words).toEqual(['x', 'y', 'x y'])
})

test('what was found and what was not is told', () => {
  const { matched, unmatched } = expand('$name $none', (name) => values[name])
  expect([[...matched], [...unmatched]]).toEqual([['name'], ['none']])
})
