/** Collects items and hands them on once it has been quiet for a moment. */
export interface QuietQueue<T> {
  add(item: T): void
  close(): void
}

export interface QuietQueueOptions<T> {
  /** Handed on when nothing was added for this long… */
  readonly quietMs: number
  /** …or when the oldest has waited this long. */
  readonly mostMs: number
  readonly deliver: (items: ReadonlySet<T>) => void
}

export function createQuietQueue<T>(options: QuietQueueOptions<T>): QuietQueue<T> {
  let items = new Set<T>()
  let oldest = 0
  let timer: NodeJS.Timeout | undefined
  const deliver = (): void => {
    timer = undefined
    const whole = items
    items = new Set()
    options.deliver(whole)
  }
  return {
    add(item) {
      const now = performance.now()
      if (items.size === 0) oldest = now
      items.add(item)
      clearTimeout(timer)
      timer = setTimeout(deliver, Math.max(0, Math.min(options.quietMs, oldest + options.mostMs - now)))
    },
    close() {
      clearTimeout(timer)
      items.clear()
    },
  }
}
