// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are variables of compose files
import { expect, test } from 'vitest'
import { parseDotenv } from '../../../src/compose/dotenv.ts'
import { substitute } from '../../../src/compose/template.ts'

const values: Readonly<Record<string, string>> = { FOO: 'foo', EMPTY: '' }
const get = (name: string): string | undefined => values[name]

test.each([
  ['$FOO ${FOO}', 'foo foo'],
  ['$$FOO $${FOO}', '$FOO ${FOO}'],
  ['${NO:-d} ${EMPTY:-d} ${EMPTY-d} ${NO-d}', 'd d  d'],
  ['${FOO:+r}${EMPTY:+r}${EMPTY+r}${NO+r}', 'rr'],
  ['${NO:-${EMPTY:-$FOO}}', 'foo'],
  ['${NO:-{"a": {"b": 1}}}', '{"a": {"b": 1}}'],
  ['${FOO:-${NO:?not evaluated}}', 'foo'],
  ['$5 a $ b $} $', '$5 a $ b $} $'],
  ['${NO:-a:-b?c}', 'a:-b?c'],
])('%s', (text, expected) => {
  expect(substitute(text, { get })).toBe(expected)
})

test.each(['${', '${}', '${ x}', '${FOO', '${x!}', '${1}'])('%s is no template', (text) => {
  expect(() => substitute(text, { get })).toThrow(/Invalid template/)
})

test('a required variable says why it is needed', () => {
  expect(() => substitute('${NO:?set $FOO}', { get })).toThrow('required variable NO is missing a value: set foo')
  expect(() => substitute('${EMPTY?x}', { get })).not.toThrow()
})

test('only variables that are not set are noted', () => {
  const unset: string[] = []
  substitute('$NO ${EMPTY} ${OTHER:-x}', { get, onUnset: (name) => unset.push(name) })
  expect(unset).toEqual(['NO'])
})

const env = (text: string, raw = false): unknown => Object.fromEntries(parseDotenv(text, { file: '.env', get, raw }))

test('env files: comments, export, yaml style, quotes, escapes', () => {
  expect(
    env(
      '\ufeff# c\nexport A=1 # c\nB: 2\nC=a#b\nD = "x\\n\\$FOO $FOO"\nE=\'$FOO\'\nF="a\nb"\nFOO\nNO\nG=a\\$b\nH=$A$$\n',
    ),
  ).toEqual({
    A: '1',
    B: '2',
    C: 'a#b',
    D: 'x\n$FOO foo',
    E: '$FOO',
    F: 'a\nb',
    FOO: 'foo',
    G: 'a\\',
    H: '1$',
  })
})

test('env files in raw format keep everything after the equals sign', () => {
  expect(env('A="x" # y\n# c\nB=$FOO', true)).toEqual({ A: '"x" # y', B: '$FOO' })
})

test.each([
  ['A="x', '.env: line 1: unterminated quoted value "x'],
  ['\nA B', '.env: line 2: key cannot contain a space'],
  ['A$=1', '.env: line 1: unexpected character "$" in variable name "A$=1"'],
])('%j is refused', (text, message) => {
  expect(() => env(text)).toThrow(message)
})
