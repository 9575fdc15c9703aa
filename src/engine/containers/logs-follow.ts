import { type FSWatcher, watch } from 'node:fs'
import { dirname } from 'node:path'
import { closeAll, type LogFile, openNewerLogFiles } from './logs-files.ts'

/** Rotated files held for a reader that is behind; beyond it the oldest unread one is given up. */
const MAX_HELD = 16

/** Keeps hold of the files that rotation makes, so that a slow reader loses none. */
export interface LogFollower extends AsyncDisposable {
  /** Makes sure that every rotation up to now is known. */
  look(): Promise<void>
  /** Whether the file taken last has been rotated away: what is read of it from now on is all there will ever be. */
  hasNext(): boolean
  /** Takes the file after the one that was taken last. It stays the follower's to close, when the next one is taken. */
  next(): LogFile | undefined
}

/** @param last the newest file known, which stays the caller's; @param onChange called when there may be more to read */
export function createLogFollower(path: string, last: LogFile | undefined, onChange: () => void): LogFollower {
  const waiting: LogFile[] = []
  let newest = last
  let taken: LogFile | undefined
  let looking: Promise<void> | undefined
  let closed = false
  let watcher: FSWatcher | undefined

  const look = async (): Promise<void> => {
    const newer = await openNewerLogFiles(path, newest)
    if (closed) return await closeAll(newer)
    waiting.push(...newer)
    newest = newer.at(-1) ?? newest
    // The newest file is also what rotation is noticed by: it is never given up.
    while (waiting.length > MAX_HELD) await closeAll(waiting.splice(0, 1))
    if (newer.length > 0) onChange()
  }
  const lookOnce = (): Promise<void> => {
    looking ??= look().finally(() => {
      looking = undefined
    })
    return looking
  }
  try {
    watcher = watch(dirname(path), (kind) => {
      // Writes are `change`; a rotation renames and creates. It is acted on at once, even if nobody reads just now.
      if (kind === 'rename') lookOnce().catch(() => {})
      onChange()
    })
    watcher.on('error', () => watcher?.close())
  } catch {
    // No directory yet, or no inotify instance left: the reader's own beat finds what happens.
  }
  return {
    look: async () => {
      // One under way may have begun before what the caller wants to be sure of.
      await looking
      await lookOnce()
    },
    hasNext: () => waiting.length > 0,
    next() {
      const next = waiting.shift()
      if (!next) return undefined
      if (taken) closeAll([taken]).catch(() => {})
      taken = next
      return next
    },
    async [Symbol.asyncDispose]() {
      closed = true
      watcher?.close()
      await looking?.catch(() => {})
      await closeAll([...waiting, ...(taken ? [taken] : [])])
    },
  }
}
