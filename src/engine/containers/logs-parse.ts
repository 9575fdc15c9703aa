import type { LogLine } from './types.ts'

const HEAD = '{"log":"'
const TIME = '","time":"'
const STDOUT = '","stream":"stdout'
const STDERR = '","stream":"stderr'
const STREAM_LENGTH = STDOUT.length
/** `","time":"` and a time with nanoseconds, a zone and `"}`. */
const TIME_SPACE = 60

const LOWER_N = 0x6e

/**
 * Reads one line of Docker's `json-file` log out of `chunk`, from `start` to `end` (its newline excluded).
 * The layout that Docker and our shim write is cut out by position; anything else goes through JSON.parse.
 * @returns undefined for a damaged line (a machine that lost power): the reader goes on with the next
 */
export function parseLogLine(chunk: string, start: number, end: number): LogLine | undefined {
  const timeMark = chunk.lastIndexOf(TIME, end - 3)
  const textEnd = timeMark - STREAM_LENGTH
  if (textEnd < start + HEAD.length || end - timeMark > TIME_SPACE || !chunk.startsWith(HEAD, start)) {
    return parseSlowly(chunk.slice(start, end))
  }
  const isStdout = chunk.startsWith(STDOUT, textEnd)
  if ((!isStdout && !chunk.startsWith(STDERR, textEnd)) || !chunk.startsWith('"}', end - 2)) {
    return parseSlowly(chunk.slice(start, end))
  }
  const time = chunk.slice(timeMark + TIME.length, end - 2)
  const textStart = start + HEAD.length
  const text = unquote(chunk, textStart, textEnd)
  return text === undefined ? undefined : { stream: isStdout ? 'stdout' : 'stderr', time, text }
}

/** The text between two quotes of a JSON string; undefined if it is none (a torn line that a later one continues). */
function unquote(chunk: string, start: number, end: number): string | undefined {
  const slash = chunk.indexOf('\\', start)
  const plain = slash === -1 || slash >= end
  if (plain || (slash === end - 2 && chunk.charCodeAt(end - 1) === LOWER_N)) {
    if (chunk.indexOf('"', start) !== end) return undefined
    return plain ? chunk.slice(start, end) : `${chunk.slice(start, slash)}\n`
  }
  try {
    return JSON.parse(chunk.slice(start - 1, end + 1)) as string
  } catch {
    return undefined
  }
}

function parseSlowly(line: string): LogLine | undefined {
  try {
    const entry = JSON.parse(line) as { log?: unknown; stream?: unknown; time?: unknown }
    if (typeof entry.log !== 'string' || typeof entry.time !== 'string') return undefined
    return { stream: entry.stream === 'stderr' ? 'stderr' : 'stdout', time: entry.time, text: entry.log }
  } catch {
    return undefined
  }
}

/** Whether a line read from a log ends there, or goes on in the next one of its stream. */
export function isWholeLine(line: LogLine): boolean {
  return line.text.charCodeAt(line.text.length - 1) === 0x0a
}
