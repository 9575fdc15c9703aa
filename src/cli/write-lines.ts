import type { LogLine } from '../engine/containers/types.ts'
import type { LogPrinter } from '../ui/logs.ts'

/** Hands lines of one container to the printer, neighbours of one stream together. Heeds the pace of our reader. */
export async function writeLines(
  printer: LogPrinter,
  name: string,
  lines: readonly LogLine[],
  timestamps: boolean,
): Promise<void> {
  for (let at = 0; at < lines.length; ) {
    const first = lines[at] as LogLine
    let text = first.text
    let end = at + 1
    // With times each line has to go alone, since each has its own.
    while (!timestamps && end < lines.length && lines[end]?.stream === first.stream) text += lines[end++]?.text ?? ''
    at = end
    const wait = printer.write(name, first.stream, text, first.time)
    if (wait !== undefined) await wait
  }
}
