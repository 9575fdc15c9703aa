import { type LogTime, logTime } from './logs-time.ts'
import type { LogLine } from './types.ts'

/** Lines of one of several logs. */
export interface MergedLines<Key> {
  readonly key: Key
  readonly lines: readonly LogLine[]
}

interface Head<Key> {
  readonly key: Key
  readonly batches: AsyncIterator<readonly LogLine[]>
  lines: readonly LogLine[]
  at: number
  time: LogTime
}

/**
 * Merges logs that end (no followers) by time; lines of one log keep their order, and neighbours from one log come
 * together. Holds one batch of each.
 */
export async function* mergeByTime<Key>(
  sources: readonly { readonly key: Key; readonly batches: AsyncIterable<readonly LogLine[]> }[],
): AsyncGenerator<MergedLines<Key>> {
  const heads: Head<Key>[] = sources.map(({ key, batches }) => ({
    key,
    batches: batches[Symbol.asyncIterator](),
    lines: [],
    at: 0,
    time: '',
  }))
  try {
    const filled = await Promise.all(heads.map(async (head) => ((await refill(head)) ? head : undefined)))
    const open = filled.filter((head) => head !== undefined)
    while (open.length > 0) {
      const { first, second } = earliest(open)
      const from = first.at
      // Everything of the earliest log up to the beginning of the next one.
      do {
        first.at++
        if (first.at < first.lines.length) first.time = laterOf(first.time, timeAt(first))
      } while (first.at < first.lines.length && (second === undefined || first.time <= second.time))
      yield { key: first.key, lines: first.lines.slice(from, first.at) }
      if (first.at === first.lines.length && !(await refill(first))) open.splice(open.indexOf(first), 1)
    }
  } finally {
    await Promise.all(heads.map((head) => head.batches.return?.()))
  }
}

async function refill<Key>(head: Head<Key>): Promise<boolean> {
  for (;;) {
    const next = await head.batches.next()
    if (next.done) return false
    if (next.value.length === 0) continue
    head.lines = next.value
    head.at = 0
    head.time = laterOf(head.time, timeAt(head))
    return true
  }
}

function earliest<Key>(heads: readonly Head<Key>[]): { readonly first: Head<Key>; readonly second?: Head<Key> } {
  let first = heads[0] as Head<Key>
  let second: Head<Key> | undefined
  for (const head of heads.slice(1)) {
    if (head.time < first.time) {
      second = first
      first = head
    } else if (!second || head.time < second.time) second = head
  }
  return second ? { first, second } : { first }
}

function timeAt<Key>(head: Head<Key>): LogTime {
  return logTime((head.lines[head.at] as LogLine).time)
}

/** A clock that was set back must not let one log run ahead of the others. */
function laterOf(a: LogTime, b: LogTime): LogTime {
  return a > b ? a : b
}
