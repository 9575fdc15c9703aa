import { Writable } from 'node:stream'
import { Listr, ListrLogger, ListrTaskState, ProcessOutput } from 'listr2'
import type { ProgressEvent } from '../base/progress.ts'
import { paint } from './color.ts'
import { formatAmount, type Progress, type ProgressOptions } from './progress.ts'
import { ellipsize } from './table.ts'

interface Shown {
  readonly task: ListrTask
  readonly startedMs: number
  seconds: string
  drawnMs: number
}
type ListrTask = Listr['tasks'][number]

const REDRAW_MS = 100

const STATES: Readonly<Record<ProgressEvent['status'], ListrTaskState>> = {
  working: ListrTaskState.STARTED,
  done: ListrTaskState.COMPLETED,
  warning: ListrTaskState.COMPLETED,
  skipped: ListrTaskState.COMPLETED,
  error: ListrTaskState.FAILED,
}

/** Output of a container that must not be mixed in with the drawing is held back by listr2 and shown afterwards. */
const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() }) as unknown as NodeJS.WriteStream

/**
 * Draws events with listr2: a line per thing with a spinner, its state, its time and the reason. Listr runs one
 * untitled task that ends with `stop`; the lines are tasks whose state we set, since what happens is decided elsewhere.
 */
export async function createTerminalProgress(options: ProgressOptions): Promise<Progress> {
  const ended = Promise.withResolvers<void>()
  const list = new Listr([{ task: () => ended.promise }], {
    concurrent: true,
    exitOnError: false,
    registerSignalListeners: false,
    renderer: 'default',
    rendererOptions: {
      collapseErrors: true,
      formatOutput: 'truncate',
      logger: new ListrLogger({
        useIcons: true,
        toStderr: [],
        processOutput: new ProcessOutput(options.stream, nowhere),
      }),
    },
  })
  const shown = new Map<string, Shown>()
  const running = list.run()
  const emit = (event: ProgressEvent): void => {
    let line = shown.get(event.id)
    if (!line) {
      list.add({ title: event.id, task: () => {} })
      line = { task: list.tasks.at(-1) as ListrTask, startedMs: performance.now(), seconds: '', drawnMs: 0 }
      // Without the check listr2 takes the task for a disabled one and does not draw it.
      void line.task.check({})
      shown.set(event.id, line)
    }
    // A pull reports each chunk; drawing each would cost more than the pull.
    const now = performance.now()
    if (event.status === 'working' && event.current !== undefined && now - line.drawnMs < REDRAW_MS) return
    line.drawnMs = now
    if (event.status !== 'working') line.seconds = `${((performance.now() - line.startedMs) / 1000).toFixed(1)}s`
    line.task.title$ = ellipsize(describe(event, line, options), Math.max(20, (options.stream.columns || 80) - 4))
    line.task.state$ = STATES[event.status]
  }
  return {
    emit,
    async stop() {
      ended.resolve()
      await running
    },
  }
}

function describe(event: ProgressEvent, line: Shown, options: ProgressOptions): string {
  const tone = { working: 'blue', done: 'green', warning: 'yellow', skipped: 'gray', error: 'red' } as const
  const text = paint(event.text, tone[event.status], options.color)
  const amount = formatAmount(event)
  const detail = [amount, event.details ?? '', line.seconds].filter((part) => part !== '').join('  ')
  const indent = event.parentId === undefined ? '' : '  '
  return `${options.dryRun ? 'DRY-RUN MODE - ' : ''}${indent}${event.id}  ${text}${detail === '' ? '' : `  ${paint(detail, 'gray', options.color)}`}`
}
