import { createLimiter } from '../base/concurrency.ts'
import { isTcomposeError, messageOf, TcomposeError, throwIfAborted } from '../base/errors.ts'
import type { Emit } from '../base/progress.ts'
import type { Engine } from '../engine/engine.ts'
import { performAction } from './perform.ts'
import type { Operation, Plan } from './plan.ts'

export interface ExecuteOptions {
  readonly emit: Emit
  readonly signal?: AbortSignal | undefined
  /** Engine calls at once; waits do not count. -1 or absent: no limit. */
  readonly concurrency?: number | undefined
  /** Output of hooks and init containers, line by line. */
  readonly onOutput?: ((source: string, stream: 'stdout' | 'stderr', text: string) => void) | undefined
  readonly onWarning?: ((message: string) => void) | undefined
  /** Told as each operation ends well; for times in reports. */
  /** Called before anything is started: the agent must run by then. */
  readonly beforeStart?: (() => Promise<void>) | undefined
  readonly onDone?: ((operation: Operation, milliseconds: number) => void) | undefined
}

/**
 * Runs the plan: every operation as soon as those it depends on have ended. It decides nothing; after a failure the
 * operations say themselves (`afterFailure`) whether they still run.
 * @throws the first failure, with the others in `others`
 */
export async function executePlan(plan: Plan, engine: Engine, options: ExecuteOptions): Promise<void> {
  for (const message of plan.warnings) options.onWarning?.(message)
  for (const display of plan.unchanged) {
    options.emit({ id: display.id, status: 'done', text: display.done ?? '' })
  }
  const limit = options.concurrency !== undefined && options.concurrency > 0 ? options.concurrency : undefined
  const limiter = limit === undefined ? undefined : createLimiter(limit)
  const failures: unknown[] = []
  const ended = new Map<number, Promise<boolean>>()
  for (const operation of plan.operations) {
    ended.set(operation.id, runAfter(operation))
  }
  await Promise.all(ended.values())
  if (failures.length > 0) throw combine(failures)
  throwIfAborted(options.signal)

  async function runAfter(operation: Operation): Promise<boolean> {
    const before = await Promise.all(operation.dependsOn.map((id) => ended.get(id)))
    if (!before.every((ok) => ok === true)) return false
    if (options.signal?.aborted) return false
    if (failures.length > 0 && operation.afterFailure === 'skip') return false
    const { id, working, done } = operation.display
    const waits = operation.action.kind === 'waitFor' || operation.action.kind === 'runInit'
    const started = performance.now()
    const work = async (): Promise<void> => {
      if (working !== undefined) options.emit({ id, status: 'working', text: working, details: detailOf(operation) })
      await performAction(operation, engine, options)
      if (done !== undefined) options.emit({ id, status: 'done', text: done })
    }
    try {
      await (limiter === undefined || waits ? work() : limiter.run(work))
      options.onDone?.(operation, performance.now() - started)
      return true
    } catch (error) {
      if (!(options.signal?.aborted && isTcomposeError(error, 'CANCELED'))) failures.push(error)
      options.emit({ id, status: 'error', text: 'Error', details: messageOf(error) })
      return false
    }
  }
}

/** A reason worth reading beside `Recreate`; the usual ones go without saying. */
function detailOf(operation: Operation): string {
  return operation.display.working === 'Recreate' ? operation.cause : ''
}

function combine(failures: readonly unknown[]): unknown {
  const [first, ...rest] = failures
  if (!(first instanceof TcomposeError)) return first
  const others = rest.filter((one) => one instanceof TcomposeError && one.message !== first.message) as TcomposeError[]
  if (others.length === 0) return first
  return new TcomposeError(first.code, first.message, {
    at: first.at,
    hint: first.hint,
    cause: first.cause,
    exitCode: first.exitCode,
    others: [...first.others, ...others],
  })
}
