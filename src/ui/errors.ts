import { TcomposeError } from '../base/errors.ts'
import { paint } from './color.ts'

/**
 * An error as people read it, on several lines: where, what, what to do. What is not a TcomposeError is our bug, and is
 * shown with its stack and a request to report it.
 */
export function formatError(
  error: unknown,
  options: { readonly color?: boolean; readonly verbose?: boolean } = {},
): string {
  const color = options.color ?? false
  if (!(error instanceof TcomposeError)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return `${paint('internal error', 'red', color)}: ${text}\nThis is a bug in tcompose: please report it with the lines above.\n`
  }
  const lines: string[] = []
  for (const one of [error, ...error.others]) {
    const where = one.at === undefined ? '' : `${paint(one.at, 'bold', color)}: `
    lines.push(`${where}${one.message}`)
    if (one.hint !== undefined) lines.push(`  ${paint('hint', 'cyan', color)}: ${one.hint}`)
    if (options.verbose) {
      for (
        let cause = one.cause;
        cause !== undefined && cause !== null;
        cause = cause instanceof Error ? cause.cause : undefined
      ) {
        lines.push(`  caused by: ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`)
      }
    }
  }
  return `${lines.join('\n')}\n`
}

/** One line for a warning on stderr, in the form that Compose logs. */
export function formatWarning(
  message: string,
  options: { readonly color?: boolean; readonly at?: string | undefined } = {},
): string {
  const where = options.at === undefined ? '' : `${options.at}: `
  return `${paint('WARN', 'yellow', options.color ?? false)}[0000] ${where}${message}\n`
}
