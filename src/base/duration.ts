import { TcomposeError } from './errors.ts'

const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
  d: 86400e9,
  w: 604800e9,
}

/**
 * Reads a Go duration (`1m30s`, `1.5h`, `-2s`), with `d` and `w` as Compose has them.
 * @returns nanoseconds @throws TcomposeError INVALID
 */
export function parseDurationNs(text: string): number {
  const trimmed = text.trim()
  if (/^[+-]?0$/.test(trimmed)) return 0
  const match = /^([+-]?)((?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h|d|w))+$/.exec(trimmed)
  if (!match) {
    throw new TcomposeError('INVALID', `invalid duration ${JSON.stringify(text)}`, {
      hint: 'write it as 1m30s, 500ms or 2h',
    })
  }
  let total = 0
  for (const [, number, unit] of trimmed.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w)/g)) {
    total += Number(number) * (UNIT_NS[unit as string] as number)
  }
  return match[1] === '-' ? -Math.round(total) : Math.round(total)
}

export function parseDurationMs(text: string): number {
  return parseDurationNs(text) / 1e6
}

/** Writes as Go's `Duration.String()` does: `1m30s`, `1.5s`, `100ms`, `0s`. */
export function formatDurationNs(ns: number): string {
  if (ns === 0) return '0s'
  const sign = ns < 0 ? '-' : ''
  const abs = Math.abs(ns)
  if (abs < 1e3) return `${sign}${abs}ns`
  if (abs < 1e6) return `${sign}${fraction(abs / 1e3)}µs`
  if (abs < 1e9) return `${sign}${fraction(abs / 1e6)}ms`
  const hours = Math.floor(abs / 3600e9)
  const minutes = Math.floor((abs % 3600e9) / 60e9)
  const seconds = (abs % 60e9) / 1e9
  const head = hours > 0 ? `${hours}h${minutes}m` : minutes > 0 ? `${minutes}m` : ''
  return `${sign}${head}${fraction(seconds)}s`
}

function fraction(value: number): string {
  return Number(value.toFixed(9)).toString()
}

/** `3 minutes`, `About an hour`, `2 weeks`: docker's units.HumanDuration. */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  if (seconds < 1) return 'Less than a second'
  if (seconds === 1) return '1 second'
  if (seconds < 60) return `${seconds} seconds`
  const minutes = Math.floor(seconds / 60)
  if (minutes === 1) return 'About a minute'
  if (minutes < 60) return `${minutes} minutes`
  const hours = Math.round(minutes / 60)
  if (hours === 1) return 'About an hour'
  if (hours < 48) return `${hours} hours`
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`
  return `${Math.floor(hours / 24 / 365)} years`
}
