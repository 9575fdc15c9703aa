/** Go's zero time: what inspect shows for never. */
export const NEVER = '0001-01-01T00:00:00Z'

export function wireTime(time: string): string {
  return time === '' ? NEVER : time
}

/** Whole seconds since 1970. */
export function unixSeconds(time: string): number {
  return Math.floor(Date.parse(time) / 1000) || 0
}
