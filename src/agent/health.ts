import type { HealthcheckSpec } from '../engine/containers/spec.ts'
import type { HealthState } from '../engine/containers/types.ts'

/** A HEALTHCHECK with all its timings. */
export interface HealthPlan {
  /** The probe's command; a shell line is already in its shell. */
  readonly command: readonly string[]
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly startPeriodMs: number
  readonly startIntervalMs: number
  readonly retries: number
}

export interface ProbeResult {
  readonly startMs: number
  readonly endMs: number
  /** 0 healthy, anything else not; -1 when it could not be run or took too long. */
  readonly exitCode: number
  readonly output: string
}

const KEPT_RESULTS = 5
/** Bytes of a probe's output that are kept. */
export const MAX_PROBE_OUTPUT = 4096
const FIRST_PROBE_MS = 100

export const STARTING: HealthState = { status: 'starting', failingStreak: 0, log: [] }

/** Undefined when nothing is to be probed. Zero or absent timings are Docker's defaults. */
export function healthPlan(spec: HealthcheckSpec | undefined): HealthPlan | undefined {
  const [kind, ...rest] = spec?.test ?? []
  if (!spec || kind === undefined || kind === 'NONE' || rest.length === 0) return undefined
  const ms = (ns: number | undefined, fallback: number): number => (ns ? ns / 1e6 : fallback)
  return {
    command: kind === 'CMD-SHELL' ? ['/bin/sh', '-c', rest.join(' ')] : rest,
    intervalMs: ms(spec.intervalNs, 30_000),
    timeoutMs: ms(spec.timeoutNs, 30_000),
    startPeriodMs: ms(spec.startPeriodNs, 0),
    startIntervalMs: ms(spec.startIntervalNs, 5000),
    retries: spec.retries || 3,
  }
}

/**
 * The state after a probe. As Docker: a success is healthy at once; failures in the start period do not count. Docker
 * has no probe at all before the first interval is over; ours only may find a container healthy, never hold a failure
 * against it.
 */
export function afterProbe(
  health: HealthState,
  plan: HealthPlan,
  result: ProbeResult,
  containerStartMs: number,
): HealthState {
  const sinceStartMs = result.startMs - containerStartMs
  if (result.exitCode === 0) {
    return { status: 'healthy', failingStreak: 0, log: withResult(health, result) }
  }
  if (health.status === 'starting' && sinceStartMs < plan.startPeriodMs) {
    return { ...health, log: withResult(health, result) }
  }
  if (isEarly(health, plan, sinceStartMs)) return health
  const failingStreak = health.failingStreak + 1
  const status = failingStreak >= plan.retries ? 'unhealthy' : health.status
  return { status, failingStreak, log: withResult(health, result) }
}

/**
 * How long to wait for the next probe.
 * @param made probes since the container's start (or since the agent's)
 */
export function nextProbeMs(
  health: HealthState,
  plan: HealthPlan,
  made: number,
  containerStartMs: number,
  nowMs: number,
): number {
  const sinceStartMs = nowMs - containerStartMs
  if (isEarly(health, plan, sinceStartMs)) {
    // Soon, and then more and more seldom: what starts fast is found healthy fast, what is slow is not pestered.
    const step = Math.min(FIRST_PROBE_MS * 2 ** Math.min(made, 20), plan.startIntervalMs, plan.intervalMs)
    return Math.min(step, Math.max(0, plan.intervalMs - sinceStartMs))
  }
  const inStartPeriod = health.status === 'starting' && sinceStartMs < plan.startPeriodMs
  return inStartPeriod ? Math.min(plan.startIntervalMs, plan.intervalMs) : plan.intervalMs
}

function isEarly(health: HealthState, plan: HealthPlan, sinceStartMs: number): boolean {
  return health.status === 'starting' && sinceStartMs < plan.intervalMs
}

function withResult(health: HealthState, result: ProbeResult): HealthState['log'] {
  const entry = {
    start: new Date(result.startMs).toISOString(),
    end: new Date(result.endMs).toISOString(),
    exitCode: result.exitCode,
    output: result.output,
  }
  return [...health.log.slice(1 - KEPT_RESULTS), entry]
}
