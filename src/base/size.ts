import { TcomposeError } from './errors.ts'

const POWERS: Readonly<Record<string, number>> = { '': 0, b: 0, k: 1, m: 2, g: 3, t: 4, p: 5 }

/**
 * Reads a size as Docker's units.RAMInBytes: binary units, `64m`, `1.5g`, `1gb`, `1GiB`, `2048`.
 * @returns bytes @throws TcomposeError INVALID
 */
export function parseSizeBytes(text: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([bkmgtp]?)(?:i?b)?\s*$/i.exec(text)
  if (!match)
    throw new TcomposeError('INVALID', `invalid size: ${JSON.stringify(text)}`, {
      hint: 'write it as 512m, 1.5g or a number of bytes',
    })
  return Math.floor(Number(match[1]) * 1024 ** (POWERS[(match[2] as string).toLowerCase()] as number))
}

/** Decimal units with four significant digits, as `docker images` prints: `13.3kB`, `1.24GB`. */
export function formatSize(bytes: number): string {
  return withUnits(bytes, 1000, ['B', 'kB', 'MB', 'GB', 'TB', 'PB'], 3)
}

/** Binary units, as `docker stats` prints memory: `1.5MiB`. */
export function formatBinarySize(bytes: number): string {
  return withUnits(bytes, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'], 4)
}

function withUnits(bytes: number, base: number, units: readonly string[], precision: number): string {
  let value = bytes
  let unit = 0
  while (value >= base && unit < units.length - 1) {
    value /= base
    unit++
  }
  return `${Number(value.toPrecision(precision))}${units[unit]}`
}
