import type { BuildEvent } from '../engine/build/types.ts'

export interface BuildOutput {
  show(service: string, event: BuildEvent): void
}

/**
 * What builds print, in BuildKit's plain form: `#3 [web 2/4] RUN make`, `#3 0.214 text`, `#3 DONE 1.2s`. It goes to
 * stdout, as Compose has it.
 */
export function createBuildOutput(options: {
  readonly stream: NodeJS.WritableStream
  readonly quiet: boolean
}): BuildOutput {
  const numbers = new Map<string, number>()
  const started = new Map<string, number>()
  const unfinished = new Map<string, string>()
  const numberOf = (key: string): number => {
    const known = numbers.get(key)
    if (known !== undefined) return known
    numbers.set(key, numbers.size + 1)
    return numbers.size
  }
  const line = (text: string): void => void options.stream.write(`${text}\n`)
  return {
    show(service, event) {
      if (options.quiet) return
      if (event.kind === 'warning') {
        line(`WARN: ${event.rule}: ${event.message}${event.line > 0 ? ` (line ${event.line})` : ''}`)
        return
      }
      const key = `${service} ${event.id}`
      const number = numberOf(key)
      if (event.kind === 'log') {
        const seconds = ((performance.now() - (started.get(key) ?? performance.now())) / 1000).toFixed(3)
        const text = (unfinished.get(key) ?? '') + event.text
        const parts = text.split('\n')
        unfinished.set(key, parts.pop() ?? '')
        for (const part of parts) line(`#${number} ${seconds} ${part.replace(/\r$/, '')}`)
        return
      }
      const rest = unfinished.get(key)
      if (rest && event.state !== 'started') {
        line(`#${number} ${rest}`)
        unfinished.delete(key)
      }
      switch (event.state) {
        case 'started':
          started.set(key, performance.now())
          line(`#${number} ${service === '' ? '' : `[${service}] `}${event.name}`)
          return
        case 'done':
          line(
            event.id === 'naming'
              ? `#${number} ${event.name} done`
              : `#${number} DONE ${((event.ms ?? 0) / 1000).toFixed(1)}s`,
          )
          return
        case 'cached':
          if (!started.has(key)) line(`#${number} ${service === '' ? '' : `[${service}] `}${event.name}`)
          line(`#${number} CACHED`)
          return
        case 'error':
          line(`#${number} ERROR: ${event.error ?? 'failed'}`)
          return
        case 'canceled':
          line(`#${number} CANCELED`)
          return
      }
    },
  }
}
