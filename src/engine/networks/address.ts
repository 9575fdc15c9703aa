import { isIPv4, isIPv6 } from 'node:net'
import { TcomposeError } from '../../base/errors.ts'

export interface Address {
  readonly family: 4 | 6
  readonly value: bigint
}

/** A block of addresses; `first` has its host bits cleared. */
export interface Prefix {
  readonly family: 4 | 6
  readonly first: bigint
  readonly length: number
}

/** Bits of an address. */
export function widthOf(family: 4 | 6): number {
  return family === 4 ? 32 : 128
}

/** @returns undefined for anything but an IPv4 or IPv6 address without zone */
export function parseAddress(text: string): Address | undefined {
  if (isIPv4(text)) return { family: 4, value: text.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n) }
  if (!isIPv6(text) || text.includes('%')) return undefined
  const mapped = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text)
  const hex = (high: string | undefined, low: string | undefined) => ((Number(high) << 8) | Number(low)).toString(16)
  const plain = mapped ? `${mapped[1]}${hex(mapped[2], mapped[3])}:${hex(mapped[4], mapped[5])}` : text
  const [head = '', tail] = plain.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length
  const groups = [...left, ...new Array<string>(zeros).fill('0'), ...right]
  return { family: 6, value: groups.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n) }
}

/** The usual text of an address: for IPv6 as RFC 5952 says. */
export function formatAddress({ family, value }: Address): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.')
  const groups = Array.from({ length: 8 }, (_, at) => ((value >> BigInt(112 - 16 * at)) & 0xffffn).toString(16))
  const longest = zeroRun(groups)
  if (longest.length < 2) return groups.join(':')
  return `${groups.slice(0, longest.start).join(':')}::${groups.slice(longest.start + longest.length).join(':')}`
}

function zeroRun(groups: readonly string[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 }
  for (let start = 0; start < groups.length; start++) {
    let length = 0
    while (groups[start + length] === '0') length++
    if (length > best.length) best = { start, length }
  }
  return best
}

/** `address/length`; host bits may be set. @returns undefined for anything else */
export function parsePrefix(text: string): Prefix | undefined {
  const [host = '', bits, ...more] = text.split('/')
  const address = parseAddress(host)
  if (!address || bits === undefined || more.length > 0 || !/^\d{1,3}$/.test(bits)) return undefined
  const length = Number(bits)
  const width = widthOf(address.family)
  if (length > width) return undefined
  return { family: address.family, length, first: address.value & maskOf(address.family, length) }
}

function maskOf(family: 4 | 6, length: number): bigint {
  const width = widthOf(family)
  return ((1n << BigInt(width)) - 1n) ^ ((1n << BigInt(width - length)) - 1n)
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress({ family: prefix.family, value: prefix.first })}/${prefix.length}`
}

/** Last address of the block. */
export function lastOf(prefix: Prefix): bigint {
  return prefix.first + (1n << BigInt(widthOf(prefix.family) - prefix.length)) - 1n
}

export function contains(prefix: Prefix, address: Address): boolean {
  return prefix.family === address.family && address.value >= prefix.first && address.value <= lastOf(prefix)
}

export function overlaps(one: Prefix, other: Prefix): boolean {
  return one.family === other.family && one.first <= lastOf(other) && other.first <= lastOf(one)
}

/** @throws TcomposeError INVALID naming `what` */
export function requireAddress(text: string, what: string, family?: 4 | 6): Address {
  const address = parseAddress(text)
  if (!address || (family !== undefined && address.family !== family)) {
    const kind = family === undefined ? 'IP' : `IPv${family}`
    throw new TcomposeError('INVALID', `${what} ${JSON.stringify(text)} is no ${kind} address`)
  }
  return address
}
