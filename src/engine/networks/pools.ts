import { TcomposeError } from '../../base/errors.ts'
import { formatPrefix, lastOf, overlaps, type Prefix, parsePrefix, widthOf } from './address.ts'

/** Ranges out of which networks get their subnets, each of `length` bits. */
export interface AddressPool {
  readonly base: Prefix
  readonly length: number
}

/** Private ranges that home routers, clouds and Docker's own first networks seldom use. */
const DEFAULT_POOLS = 'base=172.20.0.0/14,size=24;base=172.24.0.0/13,size=24;base=10.200.0.0/13,size=24'

/**
 * `base=PREFIX,size=BITS`, several with `;` between (TCOMPOSE_ADDRESS_POOLS), as in Docker's default-address-pools.
 * @throws TcomposeError INVALID
 */
export function parsePools(text: string | undefined): readonly AddressPool[] {
  return (text || DEFAULT_POOLS)
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => {
      const match = /^base=([^,]+),size=(\d+)$/.exec(part)
      const base = match ? parsePrefix(match[1] as string) : undefined
      const length = Number(match?.[2])
      if (base?.family !== 4 || !(length >= base.length && length <= 30)) {
        throw new TcomposeError('INVALID', `address pool ${JSON.stringify(part)} is not valid`, {
          hint: 'TCOMPOSE_ADDRESS_POOLS is a list of base=172.20.0.0/14,size=24, separated by semicolons',
        })
      }
      return { base, length }
    })
}

/** How many subnets the pools hold altogether. */
export function poolSize(pools: readonly AddressPool[]): number {
  return pools.reduce((sum, pool) => sum + 2 ** (pool.length - pool.base.length), 0)
}

/** The nth subnet of the pools, counted through all of them. */
function subnetAt(pools: readonly AddressPool[], index: number): Prefix {
  let rest = index
  for (const { base, length } of pools) {
    const count = 2 ** (length - base.length)
    if (rest < count) {
      const step = 1n << BigInt(widthOf(base.family) - length)
      return { family: base.family, first: base.first + BigInt(rest) * step, length }
    }
    rest -= count
  }
  throw new Error(`no subnet ${index} in the pools`)
}

/**
 * A subnet that overlaps none of `taken`. The search starts at `start` (any number) and goes round, so that a name
 * that always starts at the same place gets the same subnet again as long as nobody else has it.
 * @throws TcomposeError UNAVAILABLE when all are taken
 */
export function chooseSubnet(pools: readonly AddressPool[], taken: readonly Prefix[], start: number): Prefix {
  const size = poolSize(pools)
  for (let step = 0; step < size; step++) {
    const subnet = subnetAt(pools, (start + step) % size)
    if (!taken.some((other) => overlaps(subnet, other))) return subnet
  }
  throw new TcomposeError('UNAVAILABLE', 'could not find an available, non-overlapping IPv4 address pool', {
    hint: 'remove unused networks, or name other ranges in TCOMPOSE_ADDRESS_POOLS',
  })
}

/** How many subnets of the pools nothing overlaps. */
export function countFree(pools: readonly AddressPool[], taken: readonly Prefix[]): number {
  let free = 0
  for (let index = 0; index < poolSize(pools); index++) {
    const subnet = subnetAt(pools, index)
    if (!taken.some((other) => overlaps(subnet, other))) free++
  }
  return free
}

/** First address from `from` to `to` for which `isFree`; undefined when there is none within a sane number of tries. */
export function firstFree(from: bigint, to: bigint, isFree: (value: bigint) => boolean): bigint | undefined {
  const limit = from + 1_000_000n < to ? from + 1_000_000n : to
  for (let value = from; value <= limit; value++) if (isFree(value)) return value
  return undefined
}

/** Addresses of a subnet that hosts may have: without network and broadcast address where there are such. */
export function hostRange(subnet: Prefix): { readonly from: bigint; readonly to: bigint } {
  const spare = widthOf(subnet.family) - subnet.length
  if (spare <= 1) return { from: subnet.first, to: lastOf(subnet) }
  return { from: subnet.first + 1n, to: subnet.family === 4 ? lastOf(subnet) - 1n : lastOf(subnet) }
}

export function describePools(pools: readonly AddressPool[]): string {
  return pools.map(({ base, length }) => `${formatPrefix(base)} in /${length}`).join(', ')
}
