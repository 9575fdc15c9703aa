import { parseLogLine } from './logs-parse.ts'
import type { LogLine } from './types.ts'

const NEWLINE = 0x0a
/** Docker writes parts of 16 KiB, each byte of which may take six when escaped. A longer line is damage. */
const MAX_LINE_BYTES = 4 * 1024 * 1024

/** Cuts chunks of a log file into its lines. */
export interface LogSplitter {
  /** The lines that `chunk` completes; it may be reused afterwards. */
  push(chunk: Uint8Array): LogLine[]
  /** Forgets an unfinished line: the next chunk is of another file. */
  reset(): void
  /** Leaves out that many lines from the next ones on. */
  skip(lines: number): void
}

export function createLogSplitter(): LogSplitter {
  let rest: Buffer | undefined
  let skipping = 0
  let tooLong = false
  return {
    push(chunk) {
      const last = chunk.lastIndexOf(NEWLINE)
      const bytes = view(chunk)
      if (last === -1) {
        rest = rest ? Buffer.concat([rest, bytes]) : Buffer.from(bytes)
        if (rest.length > MAX_LINE_BYTES) {
          rest = undefined
          tooLong = true
        }
        return []
      }
      const text = rest
        ? Buffer.concat([rest, bytes.subarray(0, last + 1)]).toString()
        : bytes.toString('utf8', 0, last + 1)
      rest = last + 1 < bytes.length ? Buffer.from(bytes.subarray(last + 1)) : undefined
      const lines: LogLine[] = []
      for (let start = 0, end = text.indexOf('\n'); end !== -1; start = end + 1, end = text.indexOf('\n', start)) {
        if (tooLong) {
          tooLong = false
          continue
        }
        if (skipping > 0) {
          skipping--
          continue
        }
        const line = parseLogLine(text, start, end)
        if (line) lines.push(line)
      }
      return lines
    },
    reset() {
      rest = undefined
      tooLong = false
    },
    skip(lines) {
      skipping = lines
    },
  }
}

function view(chunk: Uint8Array): Buffer {
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
}
