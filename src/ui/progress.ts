import type { Emit, ProgressEvent } from '../base/progress.ts'
import { formatSize } from '../base/size.ts'
import { paint } from './color.ts'

export type ProgressMode = 'auto' | 'tty' | 'plain' | 'json' | 'quiet'

export interface ProgressOptions {
  readonly mode: ProgressMode
  /** Where it is shown; stderr, so that stdout stays the result. */
  readonly stream: NodeJS.WriteStream
  readonly color: boolean
  readonly dryRun?: boolean
  /** Header while things are under way: `Running`, `Building`. */
  readonly title?: string
}

export interface Progress {
  readonly emit: Emit
  /** Draws the last state and gives the terminal back; nothing is shown after it. */
  stop(): Promise<void>
}

/** Shows progress events. The terminal renderer is loaded only when there is a terminal to draw on. */
export async function createProgress(options: ProgressOptions): Promise<Progress> {
  const mode = options.mode === 'auto' ? (options.stream.isTTY && options.color ? 'tty' : 'plain') : options.mode
  switch (mode) {
    case 'quiet':
      return { emit: () => {}, stop: async () => {} }
    case 'json':
      return {
        emit: (event) => void options.stream.write(`${JSON.stringify(toJson(event, options))}\n`),
        stop: async () => {},
      }
    case 'plain':
      return createPlain(options)
    case 'tty': {
      const { createTerminalProgress } = await import('./progress-terminal.ts')
      return createTerminalProgress(options)
    }
  }
}

/** One line per change, each once: `Container web-1 Created`. Byte counts are left out: a log is no place for them. */
function createPlain(options: ProgressOptions): Progress {
  const last = new Map<string, string>()
  const prefix = options.dryRun ? 'DRY-RUN MODE - ' : ''
  return {
    emit(event) {
      const detail = event.details !== undefined && event.current === undefined ? ` ${event.details}` : ''
      const line = `${event.text}${detail}`.trimEnd()
      if (last.get(event.id) === line) return
      last.set(event.id, line)
      const text =
        event.status === 'error'
          ? paint(line, 'red', options.color)
          : event.status === 'warning'
            ? paint(line, 'yellow', options.color)
            : line
      options.stream.write(` ${prefix}${event.id} ${text}\n`)
    },
    stop: async () => {},
  }
}

function toJson(event: ProgressEvent, options: ProgressOptions): object {
  const { status, id, parentId, text, details, current, total } = event
  const name = { working: 'Working', done: 'Done', warning: 'Warning', error: 'Error', skipped: 'Done' }[status]
  return {
    ...(options.dryRun ? { 'dry-run': true } : {}),
    id,
    ...(parentId === undefined ? {} : { parent_id: parentId }),
    status: name,
    text,
    ...(details === undefined ? {} : { details }),
    ...(current === undefined ? {} : { current }),
    ...(total === undefined ? {} : { total }),
    ...(current !== undefined && total ? { percent: Math.floor((current / total) * 100) } : {}),
  }
}

/** `12.3MB/97MB`, for an event that counts bytes. */
export function formatAmount(event: ProgressEvent): string {
  if (event.current === undefined) return ''
  return event.total ? `${formatSize(event.current)}/${formatSize(event.total)}` : formatSize(event.current)
}
