import { type ChildProcess, spawn } from 'node:child_process'
import { TcomposeError } from '../base/errors.ts'

export interface CoprocessOptions {
  readonly program: string
  readonly args: readonly string[]
  /** Lines that make the program print something unmistakable after everything before them is done. */
  readonly marker: (count: number) => string
  /** What that looks like in its output. */
  readonly markerSeen: (output: string, count: number) => number
}

/** A tool of the system kept on a pipe: a request costs a tenth of what a process of its own would. */
export interface Coprocess extends Disposable {
  /** Sends lines and gives what they printed, stderr and stdout in one. Calls are served one after the other. */
  send(lines: string): Promise<string>
}

interface Request {
  readonly resolve: (output: string) => void
  readonly reject: (error: Error) => void
}

/** Starts lazily; the child holds no event loop open and ends with this process, since its input closes then. */
export function createCoprocess(options: CoprocessOptions): Coprocess {
  let child: ChildProcess | undefined
  let current: Request | undefined
  let output = ''
  let count = 0
  let queue: Promise<unknown> = Promise.resolve()

  const fail = (error: Error): void => {
    const request = current
    current = undefined
    child = undefined
    hold(false)
    request?.reject(error)
  }
  /** While an answer is awaited the pipe must keep the process alive; between requests it must not. */
  const hold = (wanted: boolean): void => {
    const pipe = child?.stdout as unknown as { ref(): void; unref(): void } | undefined
    if (wanted) pipe?.ref()
    else pipe?.unref()
  }
  const start = (): ChildProcess => {
    // The shell joins stderr to stdout, so that errors come in their place among the answers, and is gone at once.
    const started = spawn('sh', ['-c', 'exec "$0" "$@" 2>&1', options.program, ...options.args], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    started.unref()
    ;(started.stdin as unknown as { unref(): void }).unref()
    started.stdin?.on('error', () => {})
    started.on('error', (error) =>
      fail(new TcomposeError('UNAVAILABLE', `${options.program} could not be started`, { cause: error })),
    )
    started.on('exit', (code) => {
      if (child !== started) return
      const hint = code === 127 ? { hint: 'tcompose doctor says which package brings it' } : {}
      fail(
        new TcomposeError(
          'UNAVAILABLE',
          `${options.program} ${code === 127 ? 'is not installed' : `ended unexpectedly: ${output.trim()}`}`,
          hint,
        ),
      )
    })
    started.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      const end = options.markerSeen(output, count)
      if (end < 0) return
      const request = current
      current = undefined
      hold(false)
      request?.resolve(output.slice(0, end))
    })
    return started
  }
  return {
    send(lines) {
      const answer = queue.then(
        () =>
          new Promise<string>((resolve, reject) => {
            child ??= start()
            current = { resolve, reject }
            output = ''
            count++
            hold(true)
            child.stdin?.write(`${lines}${lines.endsWith('\n') || lines === '' ? '' : '\n'}${options.marker(count)}\n`)
          }),
      )
      queue = answer.catch(() => {})
      return answer
    },
    [Symbol.dispose]() {
      const ending = child
      child = undefined
      ending?.stdin?.end()
    },
  }
}
