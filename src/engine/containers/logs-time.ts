import { TcomposeError } from '../../base/errors.ts'

/**
 * A time in a form whose order as text is its order in time: `2026-01-02T03:04:05.123` in UTC, without zone and without
 * trailing zeros (a `Z` would sort after digits).
 */
export type LogTime = string

/** Of a time as log lines have it (RFC 3339, almost always UTC). */
export function logTime(time: string): LogTime {
  if (time.charCodeAt(time.length - 1) === 0x5a) {
    const end = time.length - 1
    // Go trims zeros when it writes, but other writers need not.
    return time.charCodeAt(end - 1) === 0x30 && time.includes('.') ? trimZeros(time.slice(0, end)) : time.slice(0, end)
  }
  return parseLogTime(time)
}

/**
 * Of a time as a person or a client gives it: RFC 3339 (zone optional: local; time optional: midnight) or Unix seconds
 * with an optional fraction.
 * @throws TcomposeError INVALID
 */
export function parseLogTime(text: string): LogTime {
  const unix = /^(-?\d+)(?:\.(\d{1,9})\d*)?$/.exec(text)
  if (unix) return fromSeconds(Number(unix[1]), unix[2] ?? '')
  const match =
    /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?::(\d{2})(?:[.,](\d{1,9})\d*)?)?)?(Z|[+-]\d{2}:?\d{2})?$/i.exec(text)
  const ms = match
    ? Date.parse(`${match[1]}T${match[2] ?? '00:00'}:${match[3] ?? '00'}${(match[5] ?? '').toUpperCase()}`)
    : Number.NaN
  if (Number.isNaN(ms)) {
    throw new TcomposeError('INVALID', `invalid time ${JSON.stringify(text)}`, {
      hint: 'write it as 2026-01-02T15:04:05Z or as Unix seconds',
    })
  }
  return fromSeconds(ms / 1000, match?.[4] ?? '')
}

/** Milliseconds since 1970. */
export function logTimeMs(time: LogTime): number {
  return Date.parse(`${time}Z`)
}

function fromSeconds(seconds: number, fraction: string): LogTime {
  const date = new Date(seconds * 1000)
  if (Number.isNaN(date.getTime())) throw new TcomposeError('INVALID', `time ${seconds} is out of range`)
  return trimZeros(`${date.toISOString().slice(0, 19)}.${fraction}`)
}

function trimZeros(time: string): LogTime {
  return time.replace(/\.?0*$/, (zeros) => (time.includes('.') ? '' : zeros))
}
