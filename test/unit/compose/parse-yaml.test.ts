// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are variables of compose files
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { stringify } from 'yaml'
import { parseWhole, parseYaml } from '../../../src/compose/parse-yaml.ts'
import { parsePlainYaml } from '../../../src/compose/plain-yaml.ts'

const parse = (text: string): unknown => parseYaml(text, 'compose.yaml')[0]?.tree

test('scalars are read by go-yaml rules: YAML 1.2 booleans, old octals, no dates', () => {
  expect(
    parse(
      '{a: yes, b: on, c: true, d: 010, e: 0x1F, f: 1e3, g: 1_000, h: ~, i: 12:30, j: 2001-01-01, k: "1", l: 0o17, m: .5, n: -3}',
    ),
  ).toEqual({
    a: 'yes',
    b: 'on',
    c: true,
    d: 8,
    e: 31,
    f: 1000,
    g: 1000,
    h: null,
    i: '12:30',
    j: '2001-01-01',
    k: '1',
    l: 15,
    m: 0.5,
    n: -3,
  })
})

test('merge keys take from maps and lists of maps, and lose against own keys', () => {
  expect(parse('a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  <<: [*a, *b]\n  x: 0\n')).toMatchObject({
    c: { x: 0, y: 1, z: 2 },
  })
})

test('resets are left out and listed, also where an anchor brings them', () => {
  const [document] = parseYaml('x: &x {ports: !reset []}\nservices:\n  a:\n    <<: *x\n    image: !override y\n', 'f')
  expect(document?.tree).toEqual({ x: {}, services: { a: { image: 'y' } } })
  expect(document?.resets).toEqual([
    ['x', 'ports'],
    ['services', 'a', 'image'],
    ['services', 'a', 'ports'],
  ])
})

test.each([
  ['a: 1\na: 2', /mapping key "a" already defined at line 1/],
  ['1: x', /non-string key at top level: 1/],
  ['a: {b: [{2: x}]}', /non-string key in a\.b\[0\]: 2/],
  ['a: &a\n  b: *a', /cycle detected: node at path a\.b references node at path a$/],
  ['a: &a {b: 1}\nc: {<<: 1}', /map merge requires map/],
  ['a: [1, 2', /yaml: line/],
  ['a: *nothing', /yaml: /],
  ['__proto__: {x: 1}', /__proto__/],
])('%j is refused', (text, message) => {
  expect(() => parse(text)).toThrow(message)
})

test('an alias bomb ends in an error', () => {
  const bomb = Array.from(
    { length: 9 },
    (_, level) => `x${level + 1}: &x${level + 1} [${Array(9).fill(`*x${level}`).join(', ')}]`,
  )
  expect(() => parse(['x0: &x0 {k: v}', ...bomb].join('\n'))).toThrow(/excessive aliasing/)
})

test('nesting without end ends in an error', () => {
  expect(() => parse(`a: ${'['.repeat(5000)}${']'.repeat(5000)}`)).toThrow(/nested too deeply|yaml/)
  expect(() => parse(Array.from({ length: 3000 }, (_, level) => `${' '.repeat(level)}a:`).join('\n'))).toThrow(
    /nested too deeply/,
  )
})

test('places are found through keys, indexes and merged maps', () => {
  const [document] = parseYaml(
    'x: &x\n  image: a\nservices:\n  web:\n    <<: *x\n    ports:\n      - "80"\n      - "81"\n',
    'f',
  )
  expect(document?.locate(['services', 'web', 'ports', 1])).toEqual({ line: 8, column: 9, depth: 4 })
  expect(document?.locate(['services', 'web', 'image'])).toMatchObject({ line: 2, depth: 3 })
  expect(document?.locate(['services', 'web', 'nothing'])).toMatchObject({ line: 4, depth: 2 })
})

test('the plain reader reads what it reads as the whole parser does', () => {
  const text = fc.oneof(
    fc.stringMatching(/^[ -~]{0,12}$/),
    fc.constantFrom('80:80', 'a: b', '- x', '#c', 'a #b', "it's", '"q"', '[x]', '{y}', 'true', '0x1', '1.5', ''),
  )
  const key = fc.oneof(fc.stringMatching(/^[a-z_.-]{1,6}$/), fc.constantFrom('true', '12', 'null', '<<', 'a b'))
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      text,
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.dictionary(key, tie('tree'), { maxKeys: 4 }),
    ),
  }))
  const options = fc.record({
    collectionStyle: fc.constantFrom('block', 'any', 'flow'),
    indentSeq: fc.boolean(),
    lineWidth: fc.constant(0),
  })
  let read = 0
  fc.assert(
    fc.property(
      fc.dictionary(fc.stringMatching(/^[a-z_.-]{1,6}$/), tree, { minKeys: 1, maxKeys: 4 }),
      options,
      (value, style) => {
        const source = stringify(value, { ...style, collectionStyle: style.collectionStyle as 'any' })
        const plain = parsePlainYaml(source)
        if (plain === undefined) return
        read++
        expect(plain).toEqual(parseWhole(source, 'f')[0]?.tree)
      },
    ),
    { numRuns: 400 },
  )
  expect(read).toBeGreaterThan(20)
})

test.each([
  'a: b\n  c: d',
  'a:\n- 1\n -2',
  'a: "x" y',
  'a: [1, 2] x',
  '- a\nb: c',
  'a: b: c',
  'a: |\n  x',
  'a: &x b',
  'a: b\n c',
  '? a\n: b',
  'a: "\\n"',
  "a: 'x",
  'a: @b',
  'a:\tb',
  'a: 1\na: 2',
  'true: 1',
  '{a: b}',
  'a: - b',
  '---\na: b',
])('the plain reader gives %j up', (text) => {
  expect(parsePlainYaml(text)).toBeUndefined()
})
