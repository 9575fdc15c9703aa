import { type FSWatcher, watch } from 'node:fs'

/** Tells when some process has written to a database. */
export interface DatabaseChanges extends Disposable {
  /** Calls `listener` soon after any commit, possibly several times for one and now and then for none. */
  subscribe(listener: () => void): Disposable
  /** For the writer itself: its own commits are told at once. */
  announce(): void
}

/**
 * A commit is seen in the log file before its index says so: what a look finds at once may be short of the newest, so
 * one more follows. The slow beat makes up for notifications that were lost (or a file system that has none).
 */
const SECOND_LOOK_MS = 10
const SLOW_BEAT_MS = 1000

/** Watches the write-ahead log beside `database`, only while somebody is subscribed. */
export function watchDatabaseChanges(database: string): DatabaseChanges {
  const listeners = new Set<() => void>()
  let watcher: FSWatcher | undefined
  let beat: NodeJS.Timeout | undefined
  let second: NodeJS.Timeout | undefined
  let announced = false

  const tell = (): void => {
    for (const listener of [...listeners]) listener()
  }
  const onWrite = (): void => {
    tell()
    second ??= setTimeout(() => {
      second = undefined
      tell()
    }, SECOND_LOOK_MS)
  }
  const begin = (): void => {
    beat = setInterval(() => {
      watchFile()
      tell()
    }, SLOW_BEAT_MS)
    watchFile()
  }
  const watchFile = (): void => {
    if (watcher) return
    try {
      watcher = watch(`${database}-wal`, onWrite)
      watcher.on('error', unwatch)
    } catch {
      // Not there yet, or no inotify instance left: the slow beat serves meanwhile.
    }
  }
  const unwatch = (): void => {
    watcher?.close()
    watcher = undefined
  }
  const end = (): void => {
    unwatch()
    clearInterval(beat)
    clearTimeout(second)
    second = undefined
  }
  return {
    subscribe(listener) {
      const own = (): void => listener()
      listeners.add(own)
      if (listeners.size === 1) begin()
      return {
        [Symbol.dispose]() {
          if (listeners.delete(own) && listeners.size === 0) end()
        },
      }
    },
    announce() {
      if (announced || listeners.size === 0) return
      announced = true
      // After the transaction that is under way: it is synchronous.
      setImmediate(() => {
        announced = false
        tell()
      })
    },
    [Symbol.dispose]() {
      listeners.clear()
      end()
    },
  }
}
