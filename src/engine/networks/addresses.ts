import { readFileSync } from 'node:fs'
import { TcomposeError } from '../../base/errors.ts'

/** An IPv4 prefix as numbers: `base` has its host bits clear. */
export interface Prefix4 {
  readonly base: number
  readonly length: number
}

/** @throws TcomposeError INVALID */
export function parseIpv4(text: string): number {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1).map(Number)
  if (!parts || parts.some((part) => part > 255))
    throw new TcomposeError('INVALID', `invalid IPv4 address ${JSON.stringify(text)}`)
  return parts.reduce((value, part) => value * 256 + part, 0)
}

export function formatIpv4(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.')
}

/** @throws TcomposeError INVALID */
export function parsePrefix4(text: string): Prefix4 {
  const [address, length] = text.split('/')
  const bits = Number(length)
  if (length === undefined || !/^\d{1,2}$/.test(length) || bits > 32) {
    throw new TcomposeError('INVALID', `invalid CIDR address: ${text}`, { hint: 'write a subnet as 172.30.0.0/24' })
  }
  const value = parseIpv4(address as string)
  return { base: value - (value % 2 ** (32 - bits)), length: bits }
}

export function formatPrefix4(prefix: Prefix4): string {
  return `${formatIpv4(prefix.base)}/${prefix.length}`
}

export function sizeOf(prefix: Prefix4): number {
  return 2 ** (32 - prefix.length)
}

export function contains4(prefix: Prefix4, address: number): boolean {
  return address >= prefix.base && address < prefix.base + sizeOf(prefix)
}

export function overlaps4(a: Prefix4, b: Prefix4): boolean {
  return contains4(a, b.base) || contains4(b, a.base)
}

/** Prefixes that the host's routes lead to; the default route is none. Source: /proc/net/route, little-endian hex. */
export function hostRoutes4(table = readFileSync('/proc/net/route', 'latin1')): readonly Prefix4[] {
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t'))
    .filter((fields) => fields.length > 7)
    .map((fields) => ({ base: fromHex(fields[1] as string), length: bitsOf(fromHex(fields[7] as string)) }))
    .filter((prefix) => prefix.length > 0)
}

function fromHex(text: string): number {
  return Buffer.from(text, 'hex').readUInt32LE(0)
}

function bitsOf(mask: number): number {
  return mask.toString(2).replace(/0+$/, '').length
}

/** Where subnets are taken from, in order: /24s of ranges that home networks, VPNs and Docker seldom use. */
const POOLS: readonly Prefix4[] = [
  '172.20.0.0/14',
  '172.24.0.0/13',
  '10.201.0.0/16',
  '10.202.0.0/15',
  '192.168.128.0/17',
].map(parsePrefix4)
const SUBNET_LENGTH = 24

/**
 * The first free /24 of the pools that overlaps none of `taken`.
 * @throws TcomposeError CONFLICT in Docker's words
 */
export function chooseSubnet4(taken: readonly Prefix4[]): Prefix4 {
  for (const pool of POOLS) {
    for (let base = pool.base; base < pool.base + sizeOf(pool); base += 2 ** (32 - SUBNET_LENGTH)) {
      const candidate = { base, length: SUBNET_LENGTH }
      if (!taken.some((other) => overlaps4(candidate, other))) return candidate
    }
  }
  throw new TcomposeError(
    'CONFLICT',
    'could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network',
    {
      hint: 'remove unused networks (tcompose network prune), or give the network an ipam subnet',
    },
  )
}

/** Free addresses of `range`, lowest first. @throws TcomposeError CONFLICT when there is none */
export function chooseAddress4(subnet: Prefix4, range: Prefix4, taken: ReadonlySet<number>): number {
  const last = range.base + sizeOf(range)
  for (let address = range.base; address < last; address++) {
    const isEdge = subnet.length < 31 && (address === subnet.base || address === subnet.base + sizeOf(subnet) - 1)
    if (!isEdge && !taken.has(address)) return address
  }
  throw new TcomposeError(
    'CONFLICT',
    `no available IPv4 addresses on this network's address pools: ${formatPrefix4(range)}`,
  )
}

/** 128 bits. @throws TcomposeError INVALID */
export function parseIpv6(text: string): bigint {
  const bad = (): TcomposeError => new TcomposeError('INVALID', `invalid IPv6 address ${JSON.stringify(text)}`)
  const [head, tail, more] = text.split('::')
  if (more !== undefined || head === undefined) throw bad()
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'))
  const before = groups(head)
  const after = tail === undefined ? [] : groups(tail)
  const missing = 8 - before.length - after.length
  if (tail === undefined ? missing !== 0 : missing < 1) throw bad()
  const all = [...before, ...new Array<string>(tail === undefined ? 0 : missing).fill('0'), ...after]
  if (all.some((group) => !/^[0-9a-fA-F]{1,4}$/.test(group))) throw bad()
  return all.reduce((value, group) => (value << 16n) | BigInt(Number.parseInt(group, 16)), 0n)
}

/** With the longest run of zero groups shortened (RFC 5952). */
export function formatIpv6(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, index) => ((value >> BigInt(112 - index * 16)) & 0xffffn).toString(16))
  const runs = [...groups.join(':').matchAll(/(?:^|:)(?:0(?::|$)){2,}/g)].sort((a, b) => b[0].length - a[0].length)
  const run = runs[0]
  if (run?.index === undefined) return groups.join(':')
  const whole = groups.join(':')
  return `${whole.slice(0, run.index)}::${whole.slice(run.index + run[0].length)}`
}

export interface Prefix6 {
  readonly base: bigint
  readonly length: number
}

export function parsePrefix6(text: string): Prefix6 {
  const [address, length] = text.split('/')
  const bits = Number(length)
  if (length === undefined || !/^\d{1,3}$/.test(length) || bits > 128)
    throw new TcomposeError('INVALID', `invalid CIDR address: ${text}`)
  const value = parseIpv6(address as string)
  const host = 128n - BigInt(bits)
  return { base: (value >> host) << host, length: bits }
}

export function formatPrefix6(prefix: Prefix6): string {
  return `${formatIpv6(prefix.base)}/${prefix.length}`
}

/** A unique local /64 (RFC 4193) out of a network's id: the same network always gets the same. */
export function uniqueLocalPrefix(id: string): Prefix6 {
  return { base: (0xfdn << 120n) | (BigInt(`0x${id.slice(0, 14)}`) << 64n), length: 64 }
}

export function contains6(prefix: Prefix6, address: bigint): boolean {
  const host = 128n - BigInt(prefix.length)
  return address >> host === prefix.base >> host
}
