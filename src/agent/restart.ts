import type { RestartPolicy } from '../engine/containers/spec.ts'

/** An end of a container that nobody asked for, or that somebody did. */
export interface ContainerEnd {
  readonly policy: RestartPolicy | undefined
  readonly exitCode: number
  /** Restarts by policy so far. */
  readonly restartCount: number
  readonly stoppedByUser: boolean
  /** How long it ran. */
  readonly ranMs: number
  /** The delay before the start that has now ended; undefined for a first start. */
  readonly lastDelayMs: number | undefined
}

const FIRST_DELAY_MS = 100
const LONGEST_DELAY_MS = 60_000
const STABLE_MS = 10_000

/** Milliseconds after which the container is to be started again; undefined when it is not. */
export function restartDelayMs(end: ContainerEnd): number | undefined {
  if (end.stoppedByUser || !policyWants(end)) return undefined
  if (end.lastDelayMs === undefined || end.ranMs >= STABLE_MS) return FIRST_DELAY_MS
  return Math.min(end.lastDelayMs * 2, LONGEST_DELAY_MS)
}

function policyWants({ policy, exitCode, restartCount }: ContainerEnd): boolean {
  switch (policy?.name) {
    case undefined:
    case 'no':
      return false
    case 'always':
    case 'unless-stopped':
      return true
    case 'on-failure': {
      const most = policy.maximumRetryCount ?? 0
      return exitCode !== 0 && (most === 0 || restartCount < most)
    }
  }
}

/** Whether a container that ended before this boot is to be started by it. `always` holds even for a stopped one. */
export function startsAtBoot(container: {
  readonly policy: RestartPolicy | undefined
  readonly stoppedByUser: boolean
}): boolean {
  if (container.policy?.name === 'always') return true
  return container.policy?.name === 'unless-stopped' && !container.stoppedByUser
}
