/** Lets one waiter sleep until something happens, without missing what happens while it works. */
export interface Wake {
  ring(): void
  /** Settles at the next ring, at once if it rang since the last wait, after `timeoutMs`, or when `signal` aborts. */
  wait(timeoutMs: number | undefined, signal: AbortSignal | undefined): Promise<void>
}

export function createWake(): Wake {
  let rang = false
  let resume: (() => void) | undefined
  return {
    ring() {
      rang = true
      resume?.()
    },
    async wait(timeoutMs, signal) {
      let timer: NodeJS.Timeout | undefined
      const stop = (): void => resume?.()
      if (!rang && !signal?.aborted) {
        await new Promise<void>((resolve) => {
          resume = resolve
          signal?.addEventListener('abort', stop, { once: true })
          if (timeoutMs !== undefined) timer = setTimeout(resolve, Math.min(timeoutMs + 1, 2 ** 31 - 1))
        })
      }
      clearTimeout(timer)
      signal?.removeEventListener('abort', stop)
      resume = undefined
      rang = false
    },
  }
}
