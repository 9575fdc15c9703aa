import { expect, test } from 'vitest'
import { parseChmod } from '../../../src/engine/build/chmod.ts'

test.each([
  ['0755', 0o600, false, 0o755],
  ['u=rwX,go=rX', 0o600, false, 0o644],
  ['u=rwX,go=rX', 0o600, true, 0o755],
  ['a+x', 0o644, false, 0o755],
  ['g-w,o=', 0o666, false, 0o640],
  ['u+s', 0o755, false, 0o4755],
])('%s of %o', (text, mode, isDirectory, expected) => {
  expect(parseChmod(text)(mode, isDirectory)).toBe(expected)
})

test('anything else is refused', () => {
  for (const text of ['64a', '-1', '10000', 'z=r'])
    expect(() => parseChmod(text), text).toThrow('invalid chmod parameter')
})
