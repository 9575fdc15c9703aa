import { describe, expect, test } from 'vitest'
import { formatPrefix, type Prefix, parsePrefix } from '../../../src/engine/networks/address.ts'
import { chooseSubnet, countFree, hostRange, parsePools, poolSize } from '../../../src/engine/networks/pools.ts'

const prefix = (text: string): Prefix => parsePrefix(text) as Prefix
const pools = parsePools('base=10.0.0.0/22,size=24;base=192.168.0.0/16,size=18')

describe('address pools', () => {
  test('are counted through one after another, from any start, and round', () => {
    const at = (start: number): string => formatPrefix(chooseSubnet(pools, [], start))
    expect([0, 3, 4, 7, 8].map(at)).toEqual([
      '10.0.0.0/24',
      '10.0.3.0/24',
      '192.168.0.0/18',
      '192.168.192.0/18',
      '10.0.0.0/24',
    ])
  })
  test('give no subnet that overlaps a taken prefix, be it larger or smaller', () => {
    const taken = [prefix('10.0.0.0/23'), prefix('10.0.2.7/32')]
    expect(formatPrefix(chooseSubnet(pools, taken, 0))).toBe('10.0.3.0/24')
    expect(countFree(pools, taken)).toBe(poolSize(pools) - 3)
  })
  test('that are used up are said to be', () => {
    expect(() => chooseSubnet(pools, [prefix('10.0.0.0/8'), prefix('192.168.0.0/16')], 5)).toThrow(
      'could not find an available, non-overlapping IPv4 address pool',
    )
  })
  test('are refused when they make no sense', () => {
    for (const text of ['10.0.0.0/8', 'base=10.0.0.0/24,size=16', 'base=fd00::/8,size=64', 'base=x,size=24']) {
      expect(() => parsePools(text), text).toThrow('is not valid')
    }
  })
  test('have defaults', () => {
    expect(poolSize(parsePools(undefined))).toBeGreaterThan(1000)
    expect(parsePools('')).toEqual(parsePools(undefined))
  })
})

test('the hosts of a subnet leave network and broadcast address out, where there are such', () => {
  const range = (text: string): readonly bigint[] => {
    const { from, to } = hostRange(prefix(text))
    return [from - prefix(text).first, to - prefix(text).first]
  }
  expect(range('10.0.0.0/24')).toEqual([1n, 254n])
  expect(range('10.0.0.0/31')).toEqual([0n, 1n])
  expect(range('10.0.0.1/32')).toEqual([0n, 0n])
  expect(range('fd00::/126')).toEqual([1n, 3n])
})
