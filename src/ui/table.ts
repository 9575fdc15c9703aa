import { displayWidth } from './color.ts'

/**
 * Columns as docker prints them: upper-case headers, padded to the widest cell plus three blanks, no trailing blanks,
 * a newline after each row.
 */
export function formatTable(headers: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headers.map((header, column) =>
    Math.max(displayWidth(header), ...rows.map((row) => displayWidth(row[column] ?? ''))),
  )
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell + ' '.repeat(Math.max(0, (widths[column] as number) - displayWidth(cell)) + 3))
      .join('')
      .trimEnd()
  return [headers, ...rows].map((row) => `${line(row)}\n`).join('')
}

/** Cuts to `width` cells with an ellipsis, for terminals that are too narrow. */
export function ellipsize(text: string, width: number): string {
  if (displayWidth(text) <= width) return text
  let out = ''
  for (const char of text) {
    if (displayWidth(out + char) > width - 1) break
    out += char
  }
  return `${out}…`
}
