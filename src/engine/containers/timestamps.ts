/** The time now as RFC 3339 with nanoseconds, of which microseconds are known: the wall clock's milliseconds, refined. */
export function nowNano(): string {
  const wallMs = Date.now()
  const refined = performance.timeOrigin + performance.now()
  // The refined clock runs free since the process started; where the two disagree, the wall clock is right.
  const fraction = refined >= wallMs && refined < wallMs + 1 ? refined - wallMs : 0
  return formatNano(BigInt(wallMs) * 1_000_000n + BigInt(Math.floor(fraction * 1000)) * 1000n)
}

/** Nanoseconds since 1970 → `2026-01-02T03:04:05.123456789Z`. */
export function formatNano(ns: bigint): string {
  const seconds = ns / 1_000_000_000n
  const fraction = (ns % 1_000_000_000n).toString().padStart(9, '0')
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${fraction}Z`
}
