import { expect, test } from 'vitest'
import { TcomposeError } from '../../../src/base/errors.ts'
import { formatError } from '../../../src/ui/errors.ts'
import { ellipsize, formatTable } from '../../../src/ui/table.ts'

test('columns are as wide as their widest cell and three blanks', () => {
  expect(
    formatTable(
      ['NAME', 'STATE'],
      [
        ['web-1', 'running'],
        ['a', ''],
      ],
    ),
  ).toBe('NAME      STATE\nweb-1     running\na\n'.replace('NAME      ', 'NAME    ').replace('web-1     ', 'web-1   '))
})

test('wide characters count two cells', () => {
  expect(
    formatTable(
      ['A', 'B'],
      [
        ['日本', 'x'],
        ['abc', 'y'],
      ],
    ),
  ).toBe('A      B\n日本   x\nabc    y\n')
  expect(ellipsize('日本語', 5)).toBe('日本…')
})

test('an error shows where, what, the hint and each other error', () => {
  const error = new TcomposeError('INVALID', 'bad port', {
    at: 'compose.yaml:3:5',
    hint: 'write 80:80',
    others: [new TcomposeError('INVALID', 'bad image')],
  })
  expect(formatError(error)).toBe('compose.yaml:3:5: bad port\n  hint: write 80:80\nbad image\n')
})

test('a plain Error is shown as a bug of ours', () => {
  expect(formatError(new Error('boom'))).toMatch(/^internal error: Error: boom[\s\S]*report it/)
})
