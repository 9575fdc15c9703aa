import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { TcomposeError } from '../base/errors.ts'
import type { Engine } from '../engine/engine.ts'
import type { ExecuteOptions } from './execute.ts'
import type { Action } from './plan.ts'

/**
 * Runs a `post_start` or `pre_stop` command in its container.
 * @throws TcomposeError FAILED `SERVICE hook exited with status N`
 */
export async function runHook(
  action: Extract<Action, { kind: 'runHook' }>,
  engine: Engine,
  options: ExecuteOptions,
): Promise<void> {
  if (action.phase === 'pre_stop') {
    const container = await engine.containers.find(action.container.id)
    if (container?.state.status !== 'running') return
  }
  let status: { readonly exitCode: number }
  try {
    const streams = await engine.containers.exec(action.container.id, action.exec)
    streams.stdin.end()
    const name = action.container.name
    const output = [
      forward(streams.stdout, (text) => options.onOutput?.(name, 'stdout', text)),
      forward(streams.stderr, (text) => options.onOutput?.(name, 'stderr', text)),
    ]
    status = await streams.exit
    await Promise.all(output)
  } catch (error) {
    // A program that is not there is a hook that ended with 126 or 127, as a shell would say.
    if (!(error instanceof TcomposeError) || error.exitCode === undefined) throw error
    status = { exitCode: error.exitCode }
  }
  if (status.exitCode !== 0) {
    throw new TcomposeError('FAILED', `${action.service} hook exited with status ${status.exitCode}`, {
      hint: `the ${action.phase} command was: ${action.exec.command.join(' ')}`,
    })
  }
}

/**
 * Runs a `pre_start` container to its end and removes it.
 * @throws TcomposeError FAILED when it does not end with 0
 */
export async function runInit(
  action: Extract<Action, { kind: 'runInit' }>,
  engine: Engine,
  options: ExecuteOptions,
): Promise<void> {
  const container = await engine.containers.create(action.spec, { id: action.id, signal: options.signal })
  try {
    await options.beforeStart?.()
    const streams = await engine.containers.attach(container.id)
    const output = [
      forward(streams.stdout, (text) => options.onOutput?.(container.name, 'stdout', text)),
      forward(streams.stderr, (text) => options.onOutput?.(container.name, 'stderr', text)),
    ]
    await engine.containers.start(container.id, { signal: options.signal })
    const status = await engine.containers.wait(container.id, { signal: options.signal })
    await Promise.all(output)
    if (status.exitCode !== 0) {
      throw new TcomposeError('FAILED', `pre_start hook of ${action.service} exited with status ${status.exitCode}`, {
        hint: `its command was: ${container.args.join(' ')}`,
      })
    }
  } finally {
    await engine.containers.remove(container.id, { force: true, volumes: true })
  }
}

/** Gives a stream on as text, whole lines where there are any. Settles at its end. */
function forward(stream: Readable, write: (text: string) => void): Promise<void> {
  const decoder = new StringDecoder('utf8')
  return new Promise((resolve, reject) => {
    stream.on('data', (chunk: Buffer) => write(decoder.write(chunk)))
    stream.on('end', resolve)
    stream.on('close', resolve)
    stream.on('error', reject)
  })
}
