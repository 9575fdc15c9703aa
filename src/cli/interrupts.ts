import { TcomposeError } from '../base/errors.ts'

export type InterruptName = 'SIGINT' | 'SIGTERM' | 'SIGHUP'

/** Ctrl-C and its kin. Without a handler the first one aborts `signal` and the second one ends the process. */
export interface Interrupts {
  readonly signal: AbortSignal
  /** Takes over: called with each signal and its count, from 1. */
  handle(handler: (name: InterruptName, count: number) => void): void
  /** Back to the default. */
  unhandle(): void
  release(): void
}

const NAMES: readonly InterruptName[] = ['SIGINT', 'SIGTERM', 'SIGHUP']
const NUMBERS: Readonly<Record<InterruptName, number>> = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 }

export function createInterrupts(): Interrupts {
  const controller = new AbortController()
  let count = 0
  let handler: ((name: InterruptName, count: number) => void) | undefined
  const receive = (name: InterruptName): void => {
    count++
    if (handler) {
      handler(name, count)
      return
    }
    if (count > 1) process.exit(128 + NUMBERS[name])
    controller.abort(new TcomposeError('CANCELED', 'interrupted', { exitCode: 130 }))
  }
  for (const name of NAMES) process.on(name, receive)
  return {
    signal: controller.signal,
    handle(own) {
      handler = own
    },
    unhandle() {
      handler = undefined
    },
    release() {
      for (const name of NAMES) process.off(name, receive)
    },
  }
}
