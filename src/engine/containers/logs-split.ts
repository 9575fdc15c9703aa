import { isAscii } from 'node:buffer'
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

  const parse = (text: string, lines: LogLine[]): void => {
    for (let start = 0, end = text.indexOf('\n'); end !== -1; start = end + 1, end = text.indexOf('\n', start)) {
      if (skipping > 0) {
        skipping--
        continue
      }
      const line = parseLogLine(text, start, end)
      if (line) lines.push(line)
    }
  }
  return {
    push(chunk) {
      const bytes = view(chunk)
      const lines: LogLine[] = []
      let first = 0
      if (rest || tooLong) {
        first = bytes.indexOf(NEWLINE) + 1
        if (first > 0 && rest) parse(decode(Buffer.concat([rest, bytes.subarray(0, first)])), lines)
        if (first > 0) {
          rest = undefined
          tooLong = false
        }
      }
      const last = bytes.lastIndexOf(NEWLINE) + 1
      if (last > first) parse(decode(bytes.subarray(first, last)), lines)
      if (last < bytes.length && !tooLong) {
        const unfinished = bytes.subarray(last)
        rest = rest ? Buffer.concat([rest, unfinished]) : Buffer.from(unfinished)
        tooLong = rest.length > MAX_LINE_BYTES
        if (tooLong) rest = undefined
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

/** Most logs are ASCII, which needs no decoding. */
function decode(bytes: Buffer): string {
  return bytes.toString(isAscii(bytes) ? 'latin1' : 'utf8')
}

function view(chunk: Uint8Array): Buffer {
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
}
