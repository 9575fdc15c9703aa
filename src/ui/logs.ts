import { displayWidth, paintPrefix } from './color.ts'

export interface LogPrinterOptions {
  readonly stdout: NodeJS.WritableStream
  readonly stderr: NodeJS.WritableStream
  /** Names whose prefixes must line up from the first line on; others join as they come. */
  readonly names?: readonly string[]
  readonly color: boolean
  readonly prefix: boolean
  readonly timestamps: boolean
}

export interface LogPrinter {
  /**
   * Prints a piece of output of `name`: any number of lines, the last one perhaps unfinished. Unfinished lines wait
   * for their rest, so that two containers never share a line. Resolves when the reader of our output can take more.
   */
  write(name: string, stream: 'stdout' | 'stderr', text: string, time?: string): Promise<void> | undefined
  /** `web-1 exited with code 0`, on a line of its own. */
  status(name: string, text: string): void
  /** Prints unfinished last lines and everything buffered. */
  flush(): Promise<void>
}

/** Waiting text is handed on in pieces of this size, or at the end of the turn: one write per line would be slow. */
const CHUNK_CHARS = 32 * 1024
/** A line longer than this is printed in parts: memory stays flat whatever a container writes. */
const MAX_LINE_CHARS = 256 * 1024

/** Prints logs of many containers as Compose does: `web-1  | text`, a colour per name, stderr on stderr. */
export function createLogPrinter(options: LogPrinterOptions): LogPrinter {
  const order = new Map<string, number>()
  const prefixes = new Map<string, string>()
  let width = 0
  const join = (name: string): void => {
    if (order.has(name)) return
    order.set(name, order.size)
    const own = displayWidth(name)
    if (own > width) {
      width = own
      prefixes.clear()
    }
  }
  for (const name of options.names ?? []) join(name)
  const prefixOf = (name: string): string => {
    let prefix = prefixes.get(name)
    if (prefix === undefined) {
      join(name)
      const text = `${name}${' '.repeat(width - displayWidth(name))}  | `
      prefix = options.prefix ? (options.color ? paintPrefix(text, order.get(name) as number) : text) : ''
      prefixes.set(name, prefix)
    }
    return prefix
  }

  const outputs = { stdout: createOutput(options.stdout), stderr: createOutput(options.stderr) }
  const unfinished = new Map<string, { stream: 'stdout' | 'stderr'; name: string; text: string }>()
  const put = (name: string, stream: 'stdout' | 'stderr', line: string, time: string | undefined): void => {
    const other = outputs[stream === 'stdout' ? 'stderr' : 'stdout']
    if (other.pending()) other.drainNow() // keeps the order between the two where both go to one place
    outputs[stream].add(`${prefixOf(name)}${options.timestamps && time !== undefined ? `${time} ` : ''}${line}\n`)
  }
  const printer: LogPrinter = {
    write(name, stream, text, time) {
      const key = `${stream} ${name}`
      const waiting = unfinished.get(key)
      let rest = waiting === undefined ? text : waiting.text + text
      for (let end = rest.indexOf('\n'), from = 0; ; end = rest.indexOf('\n', from)) {
        if (end < 0) {
          rest = rest.slice(from)
          break
        }
        put(name, stream, rest.slice(from, rest.charCodeAt(end - 1) === 13 && end > from ? end - 1 : end), time)
        from = end + 1
      }
      if (rest.length > MAX_LINE_CHARS) {
        put(name, stream, rest, time)
        rest = ''
      }
      if (rest === '') unfinished.delete(key)
      else unfinished.set(key, { stream, name, text: rest })
      return outputs[stream].ready()
    },
    status(name, text) {
      join(name)
      outputs.stderr.drainNow()
      outputs.stdout.add(
        `${options.prefix && options.color ? paintPrefix(name, order.get(name) as number) : name} ${text}\n`,
      )
    },
    async flush() {
      for (const { name, stream, text } of unfinished.values()) put(name, stream, text, undefined)
      unfinished.clear()
      for (const output of Object.values(outputs)) {
        output.drainNow()
        await output.ready()
      }
    },
  }
  return printer
}

interface Output {
  add(text: string): void
  pending(): boolean
  drainNow(): void
  ready(): Promise<void> | undefined
}

function createOutput(stream: NodeJS.WritableStream): Output {
  let text = ''
  let scheduled = false
  let blocked: Promise<void> | undefined
  const drainNow = (): void => {
    if (text === '') return
    const whole = text
    text = ''
    if (stream.write(whole) || blocked) return
    blocked = new Promise((resolve) => {
      const done = (): void => {
        stream.removeListener('drain', done)
        stream.removeListener('close', done)
        stream.removeListener('error', done)
        blocked = undefined
        resolve()
      }
      stream.once('drain', done)
      stream.once('close', done)
      stream.once('error', done)
    })
  }
  return {
    add(more) {
      text += more
      if (text.length >= CHUNK_CHARS) drainNow()
      else if (!scheduled) {
        scheduled = true
        setImmediate(() => {
          scheduled = false
          drainNow()
        })
      }
    },
    pending: () => text !== '',
    drainNow,
    ready: () => blocked,
  }
}
