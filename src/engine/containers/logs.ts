import { TcomposeError } from '../../base/errors.ts'
import { createWake, type Wake } from '../events/wake.ts'
import { closeAll, type LogFile, openLogFiles, readLogFile } from './logs-files.ts'
import { createLogFollower, type LogFollower } from './logs-follow.ts'
import { createLogSplitter, type LogSplitter } from './logs-split.ts'
import { findTail, type LogStart } from './logs-tail.ts'
import { logTime, logTimeMs, parseLogTime } from './logs-time.ts'
import type { LogLine, LogQuery } from './types.ts'

/** While a follower has nothing to read it looks this often whether the container still runs. */
const IDLE_MS = 100

/** @throws TcomposeError UNSUPPORTED in Docker's words for a log driver that keeps nothing to read */
export function assertReadableLog(driver: string): void {
  if (driver === 'json-file' || driver === 'local') return
  throw new TcomposeError('UNSUPPORTED', 'configured logging driver does not support reading')
}

/** As `readLogBatches`, line by line. */
export async function* readLogs(
  logPath: string,
  query: LogQuery,
  isRunning: () => boolean | Promise<boolean>,
  signal?: AbortSignal,
): AsyncGenerator<LogLine> {
  for await (const batch of readLogBatches(logPath, query, isRunning, signal)) yield* batch
}

/**
 * Reads a container's `json-file` log with all its rotated files, oldest line first, in batches of what one read gave
 * (never an empty one). Memory stays flat however long the log is and however slow the reader.
 *
 * `tail` counts entries of the file before the other filters, as Docker does. With `follow` it goes on over rotations,
 * every line once, until the container has stopped (`isRunning`) and all is read, `until` has passed or `signal` aborts.
 * Parts of a line longer than 16 KiB come one by one, without a newline but the last.
 * @throws TcomposeError INVALID for a bad `since` or `until`
 */
export async function* readLogBatches(
  logPath: string,
  query: LogQuery,
  isRunning: () => boolean | Promise<boolean>,
  signal?: AbortSignal,
): AsyncGenerator<readonly LogLine[]> {
  const select = createSelector(query)
  const splitter = createLogSplitter()
  const files = await openLogFiles(logPath)
  const live = query.follow ? files.at(-1) : undefined
  const wake = createWake()
  // From the very beginning: what is there already may take its reader long, and rotation does not wait.
  await using follower = query.follow ? createLogFollower(logPath, live, wake.ring) : undefined
  try {
    const start = query.tail === undefined ? BEGINNING : await findTail(files, Math.max(0, query.tail))
    let liveOffset = 0
    for (const [index, file] of files.entries()) {
      if (index < start.file) continue
      for await (const { lines, offset } of readLines(file, index === start.file ? start : BEGINNING, splitter)) {
        if (file === live) liveOffset = offset
        const { kept, over } = select(lines)
        if (kept.length > 0) yield kept
        if (over || signal?.aborted) return
      }
      if (file !== live) splitter.reset()
      else if (liveOffset === 0 && index === start.file) liveOffset = start.offset
    }
    if (!follower) return
    yield* follow({ follower, wake, live, liveOffset, splitter, select, isRunning, untilMs: untilMs(query), signal })
  } finally {
    await closeAll(files)
  }
}

const BEGINNING: LogStart = { file: 0, offset: 0, skipLines: 0 }

async function* readLines(
  file: LogFile,
  start: LogStart,
  splitter: LogSplitter,
): AsyncGenerator<{ readonly lines: readonly LogLine[]; readonly offset: number }> {
  splitter.skip(start.skipLines)
  let { offset } = start
  for await (const chunk of readLogFile(file, start.offset)) {
    offset += chunk.length
    yield { lines: splitter.push(chunk), offset }
  }
}

interface FollowRequest {
  readonly follower: LogFollower
  readonly wake: Wake
  /** The file that was written to last, read up to `liveOffset`. */
  readonly live: LogFile | undefined
  readonly liveOffset: number
  readonly splitter: LogSplitter
  readonly select: Select
  readonly isRunning: () => boolean | Promise<boolean>
  readonly untilMs: number
  readonly signal: AbortSignal | undefined
}

async function* follow(request: FollowRequest): AsyncGenerator<readonly LogLine[]> {
  const { follower, wake, splitter, select, signal } = request
  let file = request.live
  let offset = request.liveOffset
  let running = true
  let askedAtMs = 0
  while (!signal?.aborted) {
    // Asked, and looked for rotation, before reading: what was written before that is then read in this very round.
    if (Date.now() - askedAtMs >= IDLE_MS) {
      running = await request.isRunning()
      askedAtMs = Date.now()
    }
    await follower.look()
    const more = follower.hasNext()
    if (file && !(file.compressed && offset > 0)) {
      for await (const chunk of readLogFile(file, offset)) {
        offset += chunk.length
        const { kept, over } = select(splitter.push(chunk))
        if (kept.length > 0) yield kept
        if (over || signal?.aborted) return
      }
    }
    if (more) {
      file = follower.next()
      offset = 0
      splitter.reset()
      continue
    }
    if (!running || Date.now() > request.untilMs) return
    await wake.wait(Math.min(IDLE_MS, Math.max(0, request.untilMs - Date.now())), signal)
  }
}

type Select = (lines: readonly LogLine[]) => { readonly kept: readonly LogLine[]; readonly over: boolean }

/** Applies everything of a query but `tail`; `over` when no later line can match. */
function createSelector(query: LogQuery): Select {
  const since = query.since === undefined ? '' : parseLogTime(query.since)
  const until = query.until === undefined ? undefined : parseLogTime(query.until)
  const stdout = query.stdout ?? true
  const stderr = query.stderr ?? true
  if (since === '' && until === undefined && stdout && stderr) return (lines) => ({ kept: lines, over: false })
  return (lines) => {
    const kept: LogLine[] = []
    for (const line of lines) {
      const time = logTime(line.time)
      if (until !== undefined && time > until) return { kept, over: true }
      if (time >= since && (line.stream === 'stdout' ? stdout : stderr)) kept.push(line)
    }
    return { kept, over: false }
  }
}

function untilMs(query: LogQuery): number {
  return query.until === undefined ? Number.POSITIVE_INFINITY : logTimeMs(parseLogTime(query.until))
}
