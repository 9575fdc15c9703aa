import { expect, test } from 'vitest'
import { parseSignal } from '../../../src/engine/containers/signals.ts'

test.each([
  ['SIGTERM', 15],
  ['term', 15],
  ['9', 9],
  ['RTMIN', 34],
  ['SIGRTMIN+3', 37],
  ['RTMAX-1', 63],
])('%s is %i', (text, number) => expect(parseSignal(text)).toBe(number))

test.each(['FROB', '0', '65', 'RTMIN-1', 'RTMAX+1', 'RTMIN+31', ''])('%s is none', (text) => {
  expect(() => parseSignal(text)).toThrow(`invalid signal: ${text}`)
})
