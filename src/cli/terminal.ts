import type { ProcessStreams } from '../engine/containers/types.ts'

export interface TerminalOptions {
  /** The process has a tty: our terminal goes raw, sizes are passed on. */
  readonly tty: boolean
  /** Whether our stdin is sent. */
  readonly stdin: boolean
  /** `ctrl-p,ctrl-q`; letting go without ending the process. Empty: none. */
  readonly detachKeys?: string
  /** Pass SIGINT, SIGTERM, … on to the process. */
  readonly signals?: boolean
  readonly stdout?: NodeJS.WritableStream
  readonly stderr?: NodeJS.WritableStream
}

export type TerminalEnd = { readonly kind: 'exit'; readonly exitCode: number } | { readonly kind: 'detached' }

/** Connects our own stdin, stdout and stderr to a process in a container until it ends or is let go. */
export async function connectTerminal(streams: ProcessStreams, options: TerminalOptions): Promise<TerminalEnd> {
  const stack = new DisposableStack()
  try {
    const output = Promise.all([
      copy(streams.stdout, options.stdout ?? process.stdout),
      copy(streams.stderr, options.stderr ?? process.stderr),
    ])
    const detached = Promise.withResolvers<TerminalEnd>()
    const raw = options.tty && options.stdin && process.stdin.isTTY === true
    if (raw) {
      process.stdin.setRawMode(true)
      stack.defer(() => void process.stdin.setRawMode(false))
    }
    if (options.tty && process.stdout.isTTY) {
      const resize = (): void => streams.resize({ columns: process.stdout.columns, rows: process.stdout.rows })
      resize()
      process.stdout.on('resize', resize)
      stack.defer(() => void process.stdout.off('resize', resize))
    }
    if (options.signals) {
      for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const) {
        const pass = (): void => streams.signal(name)
        process.on(name, pass)
        stack.defer(() => void process.off(name, pass))
      }
    }
    if (options.stdin) {
      const stop = sendInput(streams, raw ? parseKeys(options.detachKeys ?? '') : [], () => {
        streams.detach()
        detached.resolve({ kind: 'detached' })
      })
      stack.defer(stop)
    } else streams.stdin.end()
    const ended = (async (): Promise<TerminalEnd> => {
      const status = await streams.exit
      await output
      return { kind: 'exit', exitCode: status.exitCode }
    })()
    return await Promise.race([ended, detached.promise])
  } finally {
    stack.dispose()
  }
}

/** Heeds the pace of the reader. */
function copy(from: NodeJS.ReadableStream, to: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve, reject) => {
    from.on('data', (chunk: Buffer) => {
      if (to.write(chunk)) return
      from.pause()
      to.once('drain', () => from.resume())
    })
    from.on('end', resolve)
    from.on('close', resolve)
    from.on('error', reject)
  })
}

function sendInput(streams: ProcessStreams, keys: readonly number[], onDetach: () => void): () => void {
  let matched = 0
  const onData = (chunk: Buffer): void => {
    if (keys.length > 0) {
      for (const byte of chunk) {
        matched = byte === keys[matched] ? matched + 1 : byte === keys[0] ? 1 : 0
        if (matched === keys.length) {
          onDetach()
          return
        }
      }
    }
    if (!streams.stdin.write(chunk)) {
      process.stdin.pause()
      streams.stdin.once('drain', () => process.stdin.resume())
    }
  }
  const onEnd = (): void => void streams.stdin.end()
  streams.stdin.on('error', () => {})
  process.stdin.on('data', onData)
  process.stdin.on('end', onEnd)
  process.stdin.on('error', onEnd)
  return () => {
    process.stdin.off('data', onData)
    process.stdin.off('end', onEnd)
    process.stdin.off('error', onEnd)
    process.stdin.pause()
  }
}

/** `ctrl-p,ctrl-q` or single characters, as bytes. */
export function parseKeys(text: string): readonly number[] {
  return text
    .split(',')
    .filter((part) => part !== '')
    .flatMap((part) => {
      const control = /^ctrl-(.)$/i.exec(part)
      if (control) return [(control[1] as string).toUpperCase().charCodeAt(0) & 0x1f]
      return part.length === 1 ? [part.charCodeAt(0)] : []
    })
}
