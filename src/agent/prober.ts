import { sleep } from '../base/concurrency.ts'
import { formatDurationNs } from '../base/duration.ts'
import { messageOf } from '../base/errors.ts'
import type { Containers, HealthState, ProcessStreams } from '../engine/containers/types.ts'
import { afterProbe, type HealthPlan, MAX_PROBE_OUTPUT, nextProbeMs, type ProbeResult, STARTING } from './health.ts'

export interface ProbeTarget {
  readonly containers: Pick<Containers, 'exec' | 'setHealth'>
  readonly id: string
  readonly plan: HealthPlan
  readonly startedAtMs: number
  /** As the record has it: an agent that was killed leaves it to the next. */
  readonly health: HealthState | undefined
  readonly onStatus: (status: HealthState['status']) => void
}

/** A probe that was killed gets this long to say what it has said. */
const LAST_WORDS_MS = 500

/** Probes a container until `signal` aborts (it has stopped or is paused), and records what comes out. */
export async function probeHealth(target: ProbeTarget, signal: AbortSignal): Promise<void> {
  const { containers, id, plan, startedAtMs } = target
  let health = target.health ?? STARTING
  if (!target.health) await containers.setHealth(id, health)
  let lastEndMs = Date.parse(health.log.at(-1)?.end ?? '') || startedAtMs
  for (let made = 0; !signal.aborted; made++) {
    const nowMs = Date.now()
    const pauseMs = nextProbeMs(health, plan, made, startedAtMs, nowMs)
    // The pause counts from the last probe, also from one that another agent made.
    await sleep(Math.max(0, pauseMs - (made === 0 ? Math.max(0, nowMs - lastEndMs) : 0)), signal)
    const result = await runProbe(target, signal)
    if (signal.aborted) return
    lastEndMs = result.endMs
    const next = afterProbe(health, plan, result, startedAtMs)
    if (next === health) continue
    await containers.setHealth(id, next)
    if (next.status !== health.status) target.onStatus(next.status)
    health = next
  }
}

async function runProbe({ containers, id, plan }: ProbeTarget, signal: AbortSignal): Promise<ProbeResult> {
  const startMs = Date.now()
  const done = (exitCode: number, output: string): ProbeResult => ({ startMs, endMs: Date.now(), exitCode, output })
  let streams: ProcessStreams
  try {
    streams = await containers.exec(id, { command: plan.command })
  } catch (error) {
    return done(-1, messageOf(error))
  }
  const output = collectOutput(streams)
  const over = AbortSignal.any([signal, AbortSignal.timeout(plan.timeoutMs)])
  try {
    const { exitCode } = await Promise.race([streams.exit, rejection(over)])
    return done(exitCode, output())
  } catch (error) {
    if (!over.aborted) return done(-1, messageOf(error))
    streams.signal('SIGKILL')
    await Promise.race([streams.exit, sleep(LAST_WORDS_MS)]).catch(() => {})
    const said = output()
    const text = `Health check exceeded timeout (${formatDurationNs(plan.timeoutMs * 1e6)})`
    return done(-1, said === '' ? text : `${text}: ${said}`)
  } finally {
    streams.detach()
  }
}

/** Both streams as they come; the beginning is kept, the rest thrown away. */
function collectOutput(streams: ProcessStreams): () => string {
  const parts: Buffer[] = []
  let size = 0
  let cut = false
  const take = (chunk: Buffer): void => {
    const kept = chunk.subarray(0, MAX_PROBE_OUTPUT - size)
    if (kept.length > 0) parts.push(kept)
    size += kept.length
    cut ||= kept.length < chunk.length
  }
  for (const stream of [streams.stdout, streams.stderr]) {
    stream.on('data', take)
    stream.on('error', () => {})
  }
  streams.stdin.on('error', () => {})
  return () => Buffer.concat(parts).toString() + (cut ? '...' : '')
}

function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
