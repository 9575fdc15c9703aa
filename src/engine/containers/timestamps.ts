/** The time now as RFC 3339 with nanoseconds (of which the clock gives microseconds). */
export function nowNano(): string {
  const micros = Math.round((performance.timeOrigin + performance.now()) * 1000)
  return formatNano(BigInt(micros) * 1000n)
}

/** Nanoseconds since 1970 → `2026-01-02T03:04:05.123456789Z`. */
export function formatNano(ns: bigint): string {
  const seconds = ns / 1_000_000_000n
  const fraction = (ns % 1_000_000_000n).toString().padStart(9, '0')
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${fraction}Z`
}
