import { mergeByTime } from '../engine/containers/logs-merge.ts'
import type { Container } from '../engine/containers/types.ts'
import type { Engine } from '../engine/engine.ts'
import { LABEL } from '../project/labels.ts'
import { serviceOf, shortName } from '../project/names.ts'
import type { LogPrinter } from '../ui/logs.ts'
import { writeLines } from './write-lines.ts'

export interface FollowOptions {
  readonly services: readonly string[]
  readonly follow: boolean
  readonly tail?: number | undefined
  readonly since?: string | undefined
  readonly until?: string | undefined
  readonly printer: LogPrinter
  readonly timestamps: boolean
  readonly signal: AbortSignal
  readonly index?: number | undefined
}

/** Prints the logs of containers; with `follow` also those of containers that come later. */
export async function followLogs(
  engine: Engine,
  project: string,
  containers: readonly Container[],
  options: FollowOptions,
): Promise<void> {
  if (!options.follow) {
    await printMerged(engine, containers, options)
    return
  }
  const following = new Set<string>()
  const running = new Set<Promise<void>>()
  const add = (container: Container, fromStart: boolean): void => {
    if (following.has(container.id)) return
    following.add(container.id)
    const work = printLog(
      engine,
      container,
      fromStart ? { ...options, tail: undefined, since: undefined } : options,
      true,
    )
      .catch((error: unknown) => {
        if (!options.signal.aborted) throw error
      })
      .finally(() => {
        running.delete(work)
        following.delete(container.id)
      })
    running.add(work)
  }
  const startSequence = engine.events.lastSequence()
  for (const one of containers) add(one, false)
  const events = new AbortController()
  const stop = AbortSignal.any([options.signal, events.signal])
  const watching = (async () => {
    for await (const event of engine.events.watch({ sinceSequence: startSequence, live: true }, stop)) {
      if (event.type !== 'container' || event.action !== 'start') continue
      if (event.attributes[LABEL.project] !== project || options.index !== undefined) continue
      const container = await engine.containers.find(event.actorId)
      if (!container || (options.services.length > 0 && !options.services.includes(serviceOf(container)))) continue
      add(container, true)
    }
  })().catch((error: unknown) => {
    if (!stop.aborted) throw error
  })
  // All containers have ended: what is restarted at once is given a moment by the loop.
  while (running.size > 0) await Promise.all(running)
  events.abort()
  await watching
}

async function printLog(engine: Engine, container: Container, options: FollowOptions, follow: boolean): Promise<void> {
  const name = shortName(container)
  const query = { tail: options.tail, since: options.since, until: options.until, follow }
  for await (const lines of engine.containers.logBatches(container.id, query, options.signal)) {
    await writeLines(options.printer, name, lines, options.timestamps)
  }
}

/** What is there, all containers merged by time. */
async function printMerged(engine: Engine, containers: readonly Container[], options: FollowOptions): Promise<void> {
  const query = { tail: options.tail, since: options.since, until: options.until, follow: false }
  const sources = containers.map((one) => ({
    key: shortName(one),
    batches: engine.containers.logBatches(one.id, query, options.signal),
  }))
  for await (const { key, lines } of mergeByTime(sources)) {
    await writeLines(options.printer, key, lines, options.timestamps)
  }
}
