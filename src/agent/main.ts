import { isTcomposeError, TcomposeError } from '../base/errors.ts'
import { runAgent } from './run.ts'

/** Lines of its log that the agent writes at most: a failure that repeats for days must not fill the disk. */
const MAX_LOG_LINES = 10_000

/** `tcompose agent`: started by `ensureAgent`, which keeps what it prints. @returns its exit code */
export async function agentMain(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  if (args.length > 0) throw new TcomposeError('INVALID', `agent takes no arguments: ${args.join(' ')}`)
  const controller = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(name, () => controller.abort())
  let lines = 0
  const onError = (error: unknown): void => {
    if (lines++ >= MAX_LOG_LINES) return
    const text = isTcomposeError(error) ? error.message : error instanceof Error ? (error.stack ?? '') : String(error)
    process.stderr.write(`${new Date().toISOString()} ${text}\n`)
  }
  // One container's trouble must not take names and health of all others away.
  process.on('unhandledRejection', onError)
  try {
    await runAgent({ env, onError }, controller.signal)
    return 0
  } catch (error) {
    if (controller.signal.aborted) return 0
    onError(error)
    return 1
  }
}
