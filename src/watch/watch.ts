import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { type FSWatcher, watch as watchFiles } from 'chokidar'
import { errnoOf, isTcomposeError, messageOf, TcomposeError } from '../base/errors.ts'
import type { Engine } from '../engine/engine.ts'
import { createQuietQueue } from './quiet-queue.ts'
import { decideWork, relativeInside, type ServiceWork, type WatchRule } from './rules.ts'
import { listRulePaths, syncPaths } from './sync.ts'

/** What happened, for the terminal. */
export type WatchEvent =
  | { readonly kind: 'watching'; readonly services: readonly string[] }
  | {
      readonly kind: 'synced'
      readonly service: string
      readonly copied: number
      readonly removed: number
      readonly initial: boolean
    }
  | { readonly kind: 'rebuilding' | 'rebuilt' | 'restarting' | 'restarted'; readonly services: readonly string[] }
  | {
      readonly kind: 'executed'
      readonly service: string
      readonly command: string
      readonly exitCode: number
      readonly output: string
    }
  | { readonly kind: 'failed'; readonly service: string; readonly error: unknown }
  | { readonly kind: 'polling'; readonly path: string }

export interface WatchOptions {
  readonly engine: Engine
  readonly rules: readonly WatchRule[]
  /** Ids of a service's running containers, all replicas. */
  readonly containersOf: (service: string) => Promise<readonly string[]>
  /** Builds and recreates; a failure leaves the old containers. Aborted when a newer change makes it stale. */
  readonly rebuild: (services: readonly string[], signal: AbortSignal) => Promise<void>
  readonly restart: (services: readonly string[], signal: AbortSignal) => Promise<void>
  readonly report: (event: WatchEvent) => void
  readonly signal: AbortSignal
  /** How long it must be quiet before changes are acted on; default 15 ms, at most 300 ms while they go on. */
  readonly quietMs?: number
}

const DEFAULT_QUIET_MS = 15
const MOST_WAIT_MS = 300

/**
 * Watches the rules' paths and acts on changes until `signal` aborts.
 * @throws TcomposeError UNAVAILABLE when the kernel's watch limits are too low, with the command that raises them
 */
export async function watchProject(options: WatchOptions): Promise<void> {
  const { rules, report, signal } = options
  const failed = Promise.withResolvers<never>()
  const queue = createQuietQueue<string>({
    quietMs: options.quietMs ?? DEFAULT_QUIET_MS,
    mostMs: MOST_WAIT_MS,
    deliver: (paths) => void acting.add([...paths]),
  })
  const acting = createActor(options)
  const watcher = openWatcher(rules, report)
  try {
    watcher.on('all', (_event, path) => queue.add(path))
    watcher.on('error', (error) => failed.reject(explainWatchError(error)))
    await Promise.race([
      new Promise<void>((resolve) => watcher.once('ready', () => resolve())),
      failed.promise,
      aborted(signal),
    ])
    if (!signal.aborted) {
      for (const rule of rules.filter((one) => one.initialSync && one.target !== undefined))
        await initialSync(options, rule)
      report({ kind: 'watching', services: [...new Set(rules.map((rule) => rule.service))] })
      await Promise.race([failed.promise, aborted(signal)])
    }
  } finally {
    queue.close()
    await watcher.close()
    await acting.end()
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

function openWatcher(rules: readonly WatchRule[], report: (event: WatchEvent) => void): FSWatcher {
  const paths = [...new Set(rules.map((rule) => (existsSync(rule.path) ? rule.path : dirname(rule.path))))]
  const wanted = (path: string): boolean =>
    rules.some((rule) => {
      const inside = relativeInside(rule.path, path)
      // A parent of a rule's path must be walked through on the way to it.
      if (inside === undefined) return relativeInside(path, rule.path) !== undefined
      return inside === '' || !rule.prunes(inside)
    })
  const usePolling = process.env.CHOKIDAR_USEPOLLING === 'true' || process.env.CHOKIDAR_USEPOLLING === '1'
  if (usePolling) for (const path of paths) report({ kind: 'polling', path })
  return watchFiles(paths, {
    ignoreInitial: true,
    followSymlinks: false,
    // Events as they come; the queue waits for quiet.
    atomic: false,
    ignored: (path) => !wanted(path),
    ...(usePolling ? { usePolling: true } : {}),
  })
}

async function initialSync(options: WatchOptions, rule: WatchRule): Promise<void> {
  try {
    const paths = await listRulePaths(rule)
    const result = await syncPaths(options.engine, await options.containersOf(rule.service), paths)
    options.report({ kind: 'synced', service: rule.service, ...result, initial: true })
  } catch (error) {
    options.report({ kind: 'failed', service: rule.service, error })
  }
}

interface Actor {
  add(paths: readonly string[]): void
  end(): Promise<void>
}

/** Works through batches one after the other; a change during a rebuild aborts it and joins the next batch. */
function createActor(options: WatchOptions): Actor {
  const waiting = new Set<string>()
  let running: Promise<void> | undefined
  let rebuild:
    | { readonly services: readonly string[]; readonly paths: readonly string[]; readonly abort: AbortController }
    | undefined
  const loop = async (): Promise<void> => {
    while (waiting.size > 0 && !options.signal.aborted) {
      const paths = [...waiting]
      waiting.clear()
      const work = decideWork(options.rules, paths)
      await Promise.all(work.filter((one) => !one.rebuild).map((one) => actOn(options, one)))
      const services = work.filter((one) => one.rebuild).map((one) => one.service)
      if (services.length === 0) continue
      const abort = new AbortController()
      rebuild = { services, paths, abort }
      await runRebuild(options, services, AbortSignal.any([abort.signal, options.signal]))
      // Aborted because something newer came: its services must be built again even if the newer paths are others'.
      if (abort.signal.aborted) for (const path of paths) waiting.add(path)
      rebuild = undefined
    }
  }
  return {
    add(paths) {
      for (const path of paths) waiting.add(path)
      if (rebuild) {
        const again = decideWork(options.rules, paths).some(
          (one) => one.rebuild && rebuild?.services.includes(one.service),
        )
        if (again) rebuild.abort.abort()
      }
      running ??= loop().finally(() => {
        running = undefined
      })
    },
    async end() {
      rebuild?.abort.abort()
      await running
    },
  }
}

async function runRebuild(options: WatchOptions, services: readonly string[], signal: AbortSignal): Promise<void> {
  options.report({ kind: 'rebuilding', services })
  try {
    await options.rebuild(services, signal)
    options.report({ kind: 'rebuilt', services })
  } catch (error) {
    if (signal.aborted || isTcomposeError(error, 'CANCELED')) return
    for (const service of services) options.report({ kind: 'failed', service, error })
  }
}

async function actOn(options: WatchOptions, work: ServiceWork): Promise<void> {
  try {
    const containers = await options.containersOf(work.service)
    if (work.sync.size > 0) {
      const result = await syncPaths(options.engine, containers, work.sync)
      options.report({ kind: 'synced', service: work.service, ...result, initial: false })
    }
    for (const exec of work.execs) {
      for (const container of containers) await runExec(options, work.service, container, exec)
    }
    if (work.restart) {
      options.report({ kind: 'restarting', services: [work.service] })
      await options.restart([work.service], options.signal)
      options.report({ kind: 'restarted', services: [work.service] })
    }
  } catch (error) {
    options.report({ kind: 'failed', service: work.service, error })
  }
}

const MOST_OUTPUT_CHARS = 64 * 1024

async function runExec(
  options: WatchOptions,
  service: string,
  container: string,
  exec: ServiceWork['execs'][number],
): Promise<void> {
  const streams = await options.engine.containers.exec(container, {
    command: exec.command,
    env: exec.environment,
    user: exec.user,
    workingDir: exec.workingDir,
    privileged: exec.privileged,
  })
  let output = ''
  for (const stream of [streams.stdout, streams.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      if (output.length < MOST_OUTPUT_CHARS) output += chunk.toString()
    })
  }
  const { exitCode } = await streams.exit
  options.report({ kind: 'executed', service, command: exec.command.join(' '), exitCode, output })
}

function explainWatchError(error: unknown): Error {
  if (errnoOf(error) === 'ENOSPC') {
    return new TcomposeError('UNAVAILABLE', 'the limit of inotify watches is reached', {
      hint: 'raise it: sysctl -w fs.inotify.max_user_watches=524288; or ignore big folders in develop.watch',
      cause: error,
    })
  }
  if (errnoOf(error) === 'EMFILE') {
    return new TcomposeError('UNAVAILABLE', 'the limit of inotify instances is reached', {
      hint: 'raise it: sysctl -w fs.inotify.max_user_instances=1024',
      cause: error,
    })
  }
  return new TcomposeError('UNAVAILABLE', `watching failed: ${messageOf(error)}`, { cause: error })
}
