import { parseDurationMs } from '../../base/duration.ts'
import { badRequest } from '../http-error.ts'

/** The time of an `until` filter: Unix seconds, a date, or how long ago (`24h`). @returns RFC 3339 */
export function untilTime(value: string, nowMs = Date.now()): string {
  const seconds = /^\d+(\.\d+)?$/.test(value) ? Number(value) : undefined
  const ms = seconds === undefined ? Date.parse(value) : seconds * 1000
  if (!Number.isNaN(ms)) return new Date(ms).toISOString()
  try {
    return new Date(nowMs - parseDurationMs(value)).toISOString()
  } catch {
    throw badRequest(`invalid filter 'until=${value}'`)
  }
}
