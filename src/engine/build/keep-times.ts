import type { ImageConfig } from '../images/types.ts'

/**
 * A rebuild that changes nothing gives the very image there was: the times of `before` are kept, as BuildKit keeps those
 * of cached steps. Otherwise each `up --build` would recreate its containers.
 */
export function keepTimes(before: ImageConfig | undefined, config: ImageConfig): ImageConfig {
  return before !== undefined && withoutTimes(before) === withoutTimes(config) ? before : config
}

function withoutTimes(config: ImageConfig): string {
  const { created: _created, history = [], ...rest } = config
  return JSON.stringify([sorted(rest), history.map(({ created: _one, ...entry }) => sorted(entry))])
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, one]) => [key, sorted(one)]),
  )
}
