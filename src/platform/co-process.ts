import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { TcomposeError } from '../base/errors.ts'

/**
 * A program of the system kept on a pipe, so that a change costs a write instead of a process. It starts with the first
 * question, never keeps our process alive while it is idle, ends with us (its stdin closes), and is started again when
 * it has died.
 */
export interface CoProcess {
  /**
   * Sends lines, all at once, and gives what it complained about on stderr: '' when all went well.
   * Questions may overlap; they are worked through in order.
   * @throws TcomposeError UNAVAILABLE when it is not installed, or dies before it has answered
   */
  ask(lines: readonly string[]): Promise<string>
  /** Ends it once it has answered what it was asked. */
  close(): void
}

interface Question {
  readonly mark: string
  readonly resolve: (complaints: string) => void
  readonly reject: (error: Error) => void
}

/**
 * @param tidy removes from the text between two marks what the marks themselves brought about
 *
 * Both `nft -i` and `ip -batch -` say nothing when a command succeeds. A line that is none of their commands makes
 * them complain about it by name, on the same stream and in the same order as about everything else: that is the mark
 * by which the end of an answer is known.
 */
export function createCoProcess(
  program: string,
  args: readonly string[],
  tidy: (complaints: string) => string,
): CoProcess {
  let child: ChildProcess | undefined
  let questions: Question[] = []
  let heard = ''
  let count = 0
  let closing = false

  const settle = () => {
    if (questions.length > 0 || !child) return
    if (closing) child.stdin?.end()
    child.unref()
    for (const stream of [child.stdin, child.stderr]) (stream as Socket | null)?.unref()
  }
  const fail = (of: ChildProcess, error: Error) => {
    if (child !== of) return
    const unanswered = questions
    child = undefined
    questions = []
    heard = ''
    for (const question of unanswered) question.reject(error)
  }
  const listen = (chunk: string) => {
    heard += chunk
    for (let first = questions[0]; first; first = questions[0]) {
      const at = heard.indexOf(first.mark)
      if (at < 0) return
      const answer = heard.slice(0, at)
      heard = heard.slice(at + first.mark.length)
      questions.shift()
      first.resolve(tidy(answer))
    }
    settle()
  }
  const start = (): ChildProcess => {
    const path = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`
    // A home that takes no files: nft would keep a history of its lines there.
    const env = { PATH: path, LC_ALL: 'C', HOME: '/proc' }
    // A group of its own: Ctrl-C in the terminal is for us, who need it to clean up.
    const started = spawn(program, args, { stdio: ['pipe', 'ignore', 'pipe'], env, cwd: '/', detached: true })
    started.on('error', (cause) =>
      fail(
        started,
        new TcomposeError('UNAVAILABLE', `${program} cannot be started`, {
          hint: 'tcompose doctor says which package brings it',
          cause,
        }),
      ),
    )
    started.on('close', () => fail(started, new TcomposeError('UNAVAILABLE', `${program} ended unexpectedly`)))
    started.stdin?.on('error', () => {})
    started.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      if (child === started) listen(chunk)
    })
    return started
  }
  return {
    ask: (lines) =>
      new Promise((resolve, reject) => {
        child ??= start()
        const mark = `%end${++count}%`
        questions.push({ mark, resolve, reject })
        if (questions.length === 1) {
          child.ref()
          for (const stream of [child.stdin, child.stderr]) (stream as Socket | null)?.ref()
        }
        child.stdin?.write(`${[...lines, mark].join('\n')}\n`)
      }),
    close() {
      closing = true
      settle()
    },
  }
}
