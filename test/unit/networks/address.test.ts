import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  contains,
  formatAddress,
  formatPrefix,
  lastOf,
  overlaps,
  type Prefix,
  parseAddress,
  parsePrefix,
} from '../../../src/engine/networks/address.ts'

const prefix = (text: string): Prefix => parsePrefix(text) as Prefix
const canonical = (text: string): string | undefined => {
  const address = parseAddress(text)
  return address && formatAddress(address)
}

describe('addresses', () => {
  test('are read and written in their usual form', () => {
    expect(canonical('10.0.0.255')).toBe('10.0.0.255')
    expect(canonical('2001:DB8:0:0:1:0:0:1')).toBe('2001:db8::1:0:0:1')
    expect(canonical('0:0:0:0:0:0:0:0')).toBe('::')
    expect(canonical('::ffff:1.2.3.4')).toBe('::ffff:102:304')
    expect(canonical('1:0:2:3:4:5:6:7')).toBe('1:0:2:3:4:5:6:7')
  })
  test('that are none are refused', () => {
    for (const text of ['', '1.2.3', '1.2.3.256', '::1%eth0', 'fe80', '1.2.3.4/24']) {
      expect(parseAddress(text), text).toBeUndefined()
    }
  })
  test('survive being written and read, whatever they are', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), (value) => {
        expect(parseAddress(formatAddress({ family: 6, value }))).toEqual({ family: 6, value })
      }),
    )
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 32n) - 1n }), (value) => {
        expect(parseAddress(formatAddress({ family: 4, value }))).toEqual({ family: 4, value })
      }),
    )
  })
})

describe('prefixes', () => {
  test('lose their host bits', () => {
    expect(formatPrefix(prefix('172.28.5.9/16'))).toBe('172.28.0.0/16')
    expect(formatPrefix(prefix('fd00::1/64'))).toBe('fd00::/64')
    expect(formatAddress({ family: 4, value: lastOf(prefix('172.28.0.0/16')) })).toBe('172.28.255.255')
  })
  test('that are none are refused', () => {
    for (const text of ['1.2.3.4', '1.2.3.4/33', '::/129', '1.2.3.4/', '1.2.3.4/8/8', '1.2.3.4/x']) {
      expect(parsePrefix(text), text).toBeUndefined()
    }
  })
  test('know what lies in them and what overlaps them', () => {
    expect(contains(prefix('10.0.0.0/8'), { family: 4, value: 0x0a010203n })).toBe(true)
    expect(contains(prefix('10.0.0.0/8'), { family: 4, value: 0x0b000000n })).toBe(false)
    expect(overlaps(prefix('10.0.0.0/8'), prefix('10.9.0.0/24'))).toBe(true)
    expect(overlaps(prefix('10.0.0.0/24'), prefix('10.0.1.0/24'))).toBe(false)
    expect(overlaps(prefix('0.0.0.0/0'), prefix('::/0'))).toBe(false)
  })
})
