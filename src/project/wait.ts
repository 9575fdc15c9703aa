import { sleep } from '../base/concurrency.ts'
import { isTcomposeError, messageOf, TcomposeError, throwIfAborted } from '../base/errors.ts'
import type { Container } from '../engine/containers/types.ts'
import type { Engine } from '../engine/engine.ts'
import type { ExecuteOptions } from './execute.ts'
import type { Action, Operation, WaitCondition } from './plan.ts'

type WaitAction = Extract<Action, { kind: 'waitFor' }>

export type Verdict =
  | { readonly kind: 'wait' }
  | { readonly kind: 'ok'; readonly text: string }
  | { readonly kind: 'failed'; readonly message: string }

/** Whether a condition of `depends_on` or `--wait` is met by a container as it is now. Pure. */
export function judge(condition: WaitCondition, service: string, container: Container): Verdict {
  const { state, name } = container
  const ended = state.status === 'exited' || state.status === 'dead'
  const exited = (): Verdict => ({ kind: 'failed', message: `container ${name} exited (${state.exitCode})` })
  switch (condition) {
    case 'completed':
      if (!ended) return { kind: 'wait' }
      if (state.exitCode === 0) return { kind: 'ok', text: 'Exited' }
      return {
        kind: 'failed',
        message: `service ${JSON.stringify(service)} didn't complete successfully: exit ${state.exitCode}`,
      }
    case 'healthy':
      if (ended) return exited()
      if (!hasHealthcheck(container)) {
        return state.status === 'running'
          ? { kind: 'failed', message: `container ${name} has no healthcheck configured` }
          : { kind: 'wait' }
      }
      return judgeHealth(container)
    case 'healthyOrRunning':
      if (ended) return exited()
      if (!hasHealthcheck(container))
        return state.status === 'running' ? { kind: 'ok', text: 'Healthy' } : { kind: 'wait' }
      return judgeHealth(container)
    case 'completedOrRunning':
      if (ended && state.exitCode === 0) return { kind: 'ok', text: 'Exited' }
      if (ended) return exited()
      return state.status === 'running' ? { kind: 'ok', text: 'Started' } : { kind: 'wait' }
  }
}

function judgeHealth(container: Container): Verdict {
  switch (container.state.health?.status) {
    case 'healthy':
      return { kind: 'ok', text: 'Healthy' }
    case 'unhealthy':
      return { kind: 'failed', message: `container ${container.name} is unhealthy` }
    default:
      return { kind: 'wait' }
  }
}

function hasHealthcheck(container: Container): boolean {
  return container.state.health !== undefined
}

/** Waits for a condition. @throws TcomposeError FAILED `dependency failed to start: …` */
export async function waitFor(
  action: WaitAction,
  engine: Engine,
  operation: Operation,
  options: ExecuteOptions,
): Promise<void> {
  const { id } = operation.display
  let verdict: Verdict
  try {
    verdict = await settle(action, engine, options.signal)
  } catch (error) {
    if (!isTcomposeError(error, 'NOT_FOUND')) throw error
    verdict = { kind: 'failed', message: messageOf(error) }
  }
  if (verdict.kind === 'ok') {
    options.emit({ id, status: 'done', text: verdict.text })
  } else if (verdict.kind === 'failed') {
    const message = isDependency(action) ? `dependency failed to start: ${verdict.message}` : verdict.message
    if (action.required) throw new TcomposeError('FAILED', failureText(action, verdict.message, message))
    options.emit({ id, status: 'warning', text: verdict.message })
    options.onWarning?.(`optional ${message}`)
  }
}

function isDependency(action: WaitAction): boolean {
  return action.condition === 'healthy' || action.condition === 'completed'
}

/** A one-shot that failed names its service; Compose does not put `dependency failed to start` before that one. */
function failureText(action: WaitAction, bare: string, full: string): string {
  return action.condition === 'completed' ? bare : full
}

async function settle(action: WaitAction, engine: Engine, signal: AbortSignal | undefined): Promise<Verdict> {
  // Quick at first, since most things are ready soon; later seldom, since what takes long takes long.
  for (let pauseMs = 20; ; pauseMs = Math.min(pauseMs * 1.4, 250)) {
    throwIfAborted(signal)
    const verdict = judge(action.condition, action.service, await engine.containers.get(action.container.id))
    if (verdict.kind !== 'wait') return verdict
    try {
      await sleep(pauseMs, signal)
    } catch {
      throwIfAborted(signal)
    }
  }
}
