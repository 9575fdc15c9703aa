import { isTcomposeError, TcomposeError } from '../../base/errors.ts'

const AROUND = 2

/** The lines of a Dockerfile around an instruction, those of the instruction marked. */
export function excerpt(text: string, start: number, end: number): string {
  const lines = text.replace(/\r/g, '').split('\n')
  const from = Math.max(1, start - AROUND)
  const to = Math.min(lines.length, end + AROUND)
  const width = String(to).length
  const shown = []
  for (let line = from; line <= to; line++) {
    const mark = line >= start && line <= end ? '>>>' : '   '
    shown.push(`${mark} ${String(line).padStart(width)} | ${lines[line - 1] ?? ''}`.trimEnd())
  }
  return shown.join('\n')
}

/** Says in which lines an error arose, with an excerpt of them. Errors that know their place already keep it. */
export function placed(
  error: unknown,
  file: { readonly name: string; readonly text: string },
  lines: { readonly line: number; readonly endLine: number },
  output = '',
): unknown {
  if (!isTcomposeError(error) || error.code === 'CANCELED') return error
  if (error.at !== undefined && output === '') return error
  const parts = [
    error.message,
    ...(output === '' ? [] : [output.trimEnd().replace(/^/gm, '  ')]),
    `${file.name}:${lines.line}\n${excerpt(file.text, lines.line, lines.endLine)}`,
  ]
  return new TcomposeError(error.code, parts.join('\n'), {
    at: `${file.name}:${lines.line}`,
    hint: error.hint,
    cause: error,
    exitCode: error.exitCode,
  })
}
