import { spawn } from 'node:child_process'
import { TcomposeError } from '../base/errors.ts'

export interface RunOptions {
  readonly input?: string | Uint8Array
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
  /** Exit codes that are no failure; default only 0. */
  readonly okCodes?: readonly number[]
  readonly timeoutMs?: number
}

export interface RunResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/**
 * Runs a program to its end, without a shell, and collects what it prints.
 * Only for short outputs of the system's own tools; hot paths keep a co-process instead.
 * @throws TcomposeError UNAVAILABLE when it is not installed, FAILED with its stderr when it fails
 */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
    })
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout?.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr?.on('data', (chunk: Buffer) => err.push(chunk))
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (error.name === 'AbortError') reject(new TcomposeError('CANCELED', 'interrupted', { cause: error }))
      else if (error.code === 'ENOENT') {
        reject(
          new TcomposeError('UNAVAILABLE', `${program} is not installed`, {
            hint: 'tcompose doctor says which package brings it',
            cause: error,
          }),
        )
      } else reject(error)
    })
    child.on('close', (code, killedBy) => {
      const result = { code: code ?? 128, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }
      if ((options.okCodes ?? [0]).includes(result.code)) return resolve(result)
      const what = `${program} ${args.slice(0, 3).join(' ')}`.trim()
      const how = killedBy === null ? `exit code ${result.code}` : `killed by ${killedBy}`
      reject(new TcomposeError('FAILED', `${what}: ${result.stderr.trim() || how}`, { exitCode: result.code }))
    })
    if (options.input !== undefined) {
      child.stdin?.on('error', () => {})
      child.stdin?.end(options.input)
    }
  })
}
