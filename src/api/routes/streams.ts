import { type Duplex, type Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { TcomposeError } from '../../base/errors.ts'
import { assertReadableLog } from '../../engine/containers/logs.ts'
import { parseLogTime } from '../../engine/containers/logs-time.ts'
import type { Container, LogQuery, ProcessStreams } from '../../engine/containers/types.ts'
import type { Engine } from '../../engine/engine.ts'
import { type ApiRequest, flag, integer } from '../exchange.ts'
import { badRequest } from '../http-error.ts'
import type { Routes } from '../router.ts'
import { isRunning } from '../wire/container.ts'
import { DETACH_KEYS, parseDetachKeys, watchDetachKeys } from '../wire/detach-keys.ts'
import { frame, STDERR, STDOUT, streamType } from '../wire/frames.ts'
import { wireStats } from '../wire/stats.ts'

/** What of a container flows: logs, stdio, waiting, stats, archives. */
export function streamRoutes(engine: Engine): Routes {
  const { containers } = engine
  return {
    'GET /containers/{id}/logs': async (request, response) => {
      const { query, params, version, signal } = request
      const container = await containers.get(params.id as string)
      const stdout = flag(query, 'stdout')
      const stderr = flag(query, 'stderr')
      if (!stdout && !stderr) throw badRequest('Bad parameters: you must choose at least one stream')
      const tty = container.spec.tty ?? false
      const given = logQuery(query)
      // Refused while the status can still say so: with `follow` the first line may be long in coming.
      assertReadableLog(container.spec.log?.driver ?? 'json-file')
      for (const time of [given.since, given.until]) if (time !== undefined) parseLogTime(time)
      const stream = response.stream(200, streamType(tty, version))
      for await (const batch of containers.logBatches(container.id, { ...given, stdout, stderr }, signal)) {
        const parts = batch.map((line) => {
          const text = flag(query, 'timestamps') ? `${line.time} ${line.text}` : line.text
          return tty ? Buffer.from(text) : frame(line.stream === 'stdout' ? STDOUT : STDERR, Buffer.from(text))
        })
        await stream.write(Buffer.concat(parts))
      }
      stream.end()
    },
    'POST /containers/{id}/attach': async (request, response) => {
      const container = await containers.get(request.params.id as string)
      if (container.state.status === 'paused') {
        throw new TcomposeError('CONFLICT', `container ${container.id} is paused, unpause the container before attach`)
      }
      const wants = {
        stdin: flag(request.query, 'stdin') && (container.spec.openStdin ?? false),
        stdout: flag(request.query, 'stdout'),
        stderr: flag(request.query, 'stderr'),
      }
      const tty = container.spec.tty ?? false
      const detachKeys = tty ? parseDetachKeys(request.query.get('detachKeys') || DETACH_KEYS) : []
      const live = flag(request.query, 'stream') ? await containers.attach(container.id) : undefined
      const connection = response.hijack(streamType(tty, request.version))
      engine.events.emit(containerEvent(container, 'attach'))
      if (flag(request.query, 'logs')) await replay(engine, container, wants, tty, connection)
      if (live) {
        const end = await bridge(connection, live, { ...wants, tty, detachKeys })
        if (end === 'detached') engine.events.emit(containerEvent(container, 'detach'))
      }
      connection.end()
    },
    'POST /containers/{id}/wait': async (request, response) => {
      const condition = request.query.get('condition') || 'not-running'
      if (condition !== 'not-running' && condition !== 'next-exit' && condition !== 'removed') {
        throw badRequest(`invalid condition: "${condition}"`)
      }
      const { id } = await containers.get(request.params.id as string)
      const waiting = containers.wait(id, { condition, signal: request.signal })
      // Clients start the container only when they see the headers.
      const stream = response.stream(200, 'application/json')
      try {
        const { exitCode, error } = await waiting
        await stream.write(
          `${JSON.stringify({ StatusCode: exitCode, ...(error ? { Error: { Message: error } } : {}) })}\n`,
        )
      } catch (error) {
        if (!request.signal.aborted) throw error
      }
      stream.end()
    },
    'POST /containers/{id}/resize': async ({ params, query }, response) => {
      const size = { columns: integer(query, 'w') ?? 0, rows: integer(query, 'h') ?? 0 }
      const container = await containers.get(params.id as string)
      if (!isRunning(container)) throw new TcomposeError('CONFLICT', `container ${container.id} is not running`)
      const streams = await containers.attach(container.id)
      streams.resize(size)
      streams.detach()
      response.empty(200)
    },
    'GET /containers/{id}/stats': async (request, response) => {
      const id = request.params.id as string
      const container = await containers.get(id)
      const once = !flag(request.query, 'stream', true)
      let previous = once && flag(request.query, 'one-shot') ? undefined : await containers.stats(id)
      const stream = response.stream(200, 'application/json')
      while (!request.signal.aborted) {
        if (previous) await pause(1000, request.signal)
        const current = await containers.stats(id).catch(() => undefined)
        if (!current) break
        await stream.write(`${JSON.stringify(wireStats(container, current, previous))}\n`)
        if (once) break
        previous = current
      }
      stream.end()
    },
    'GET /containers/{id}/export': async ({ params }, response) => {
      const tar = await containers.export(params.id as string)
      response.raw.writeHead(200, { 'Content-Type': 'application/x-tar' })
      await pipeline(tar, response.raw)
    },
    'HEAD /containers/{id}/archive': async ({ params, query }, response) => {
      response.header(...(await pathStat(engine, params.id as string, query)))
      response.empty(200)
    },
    'GET /containers/{id}/archive': async ({ params, query }, response) => {
      const id = params.id as string
      response.header(...(await pathStat(engine, id, query)))
      const tar = await containers.readArchive(id, query.get('path') as string)
      response.raw.writeHead(200, { 'Content-Type': 'application/x-tar' })
      await pipeline(tar, response.raw)
    },
    'PUT /containers/{id}/archive': async ({ params, query, body }, response) => {
      const path = query.get('path')
      if (!path) throw badRequest('path cannot be empty')
      await containers.writeArchive(params.id as string, path, body as Readable, {
        copyUidGid: flag(query, 'copyUIDGID'),
      })
      response.empty(200)
    },
  }
}

function logQuery(query: URLSearchParams): LogQuery {
  const tail = query.get('tail')
  const time = (name: string): string | undefined => {
    const value = query.get(name)
    return value === null || value === '' || value === '0' ? undefined : value
  }
  if (tail && tail !== 'all' && !/^-?\d+$/.test(tail))
    throw badRequest(`invalid value ${JSON.stringify(tail)} for tail`)
  return {
    follow: flag(query, 'follow'),
    tail: !tail || tail === 'all' || Number(tail) < 0 ? undefined : Number(tail),
    since: time('since'),
    until: time('until'),
  }
}

export interface BridgeOptions {
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  readonly tty: boolean
  /** Bytes that let go of the process when they come in; empty: none. */
  readonly detachKeys: readonly number[]
  /** Go on reading what the process writes when nobody wants it any more, so that its end is heard of. */
  readonly listenOn?: boolean
}

/** Joins a client's connection and a process until the process has ended, or the client has gone or let go of it. */
export async function bridge(
  connection: Duplex,
  live: ProcessStreams,
  options: BridgeOptions,
): Promise<'over' | 'gone' | 'detached'> {
  const gone = new Promise<'gone'>((resolve) => connection.once('close', () => resolve('gone')))
  const keys = Promise.withResolvers<'detached'>()
  connection.on('error', () => {})
  live.stdin.on('error', () => {})
  if (options.stdin && options.detachKeys.length > 0) {
    connection.pipe(untilDetached(options.detachKeys, () => keys.resolve('detached'))).pipe(live.stdin)
  } else if (options.stdin) connection.pipe(live.stdin)
  else connection.resume()
  let letGo = false
  const forward = async (source: Readable, stream: number, wanted: boolean): Promise<void> => {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      if (!wanted || letGo || connection.destroyed) continue
      if (!connection.write(options.tty ? chunk : frame(stream, chunk))) {
        await Promise.race([new Promise<void>((resolve) => connection.once('drain', resolve)), gone, keys.promise])
      }
    }
  }
  const over = Promise.all([
    forward(live.stdout, STDOUT, options.stdout),
    forward(live.stderr, STDERR, options.stderr),
    live.exit.catch(() => {}),
  ])
  const end = await Promise.race([over.then(() => 'over' as const), gone, keys.promise])
  letGo = end !== 'over'
  if (letGo && options.listenOn) over.catch(() => {})
  else live.detach()
  return end
}

/** Passes input on up to the detach keys. */
function untilDetached(keys: readonly number[], onDetach: () => void): Transform {
  const watch = watchDetachKeys(keys)
  let detached = false
  return new Transform({
    transform(chunk: Buffer, _, done) {
      if (detached) return done()
      const { pass, detached: now } = watch.take(chunk)
      detached = now
      if (now) onDetach()
      done(null, pass.length > 0 ? pass : undefined)
    },
  })
}

function containerEvent(container: Container, action: string): Parameters<Engine['events']['emit']>[0] {
  return {
    type: 'container',
    action,
    actorId: container.id,
    attributes: { ...container.labels, image: container.config.image, name: container.name },
  }
}

async function replay(
  engine: Engine,
  container: Container,
  wants: { readonly stdout: boolean; readonly stderr: boolean },
  tty: boolean,
  connection: Duplex,
): Promise<void> {
  const query = { stdout: wants.stdout, stderr: wants.stderr }
  for await (const line of engine.containers.logs(container.id, query)) {
    const text = Buffer.from(line.text)
    connection.write(tty ? text : frame(line.stream === 'stdout' ? STDOUT : STDERR, text))
  }
}

async function pathStat(engine: Engine, id: string, query: URLSearchParams): Promise<[string, string]> {
  const path = query.get('path')
  if (!path) throw badRequest('path cannot be empty')
  const stat = await engine.containers.statPath(id, path)
  const wire = {
    name: stat.name,
    size: stat.sizeBytes,
    mode: goMode(stat.mode),
    mtime: stat.mtime,
    linkTarget: stat.linkTarget,
  }
  return ['X-Docker-Container-Path-Stat', Buffer.from(JSON.stringify(wire)).toString('base64')]
}

/** st_mode as Go's os.FileMode has it. */
function goMode(mode: number): number {
  const kinds: Readonly<Record<number, number>> = {
    9604: 2 ** 31,
    21609: 2 ** 27,
    14406: 2 ** 26,
    4802: 2 ** 26 + 2 ** 21,
    2401: 2 ** 25,
    26411: 2 ** 24,
  }
  const special = (mode & 0o4000 ? 2 ** 23 : 0) + (mode & 0o2000 ? 2 ** 22 : 0) + (mode & 0o1000 ? 2 ** 20 : 0)
  return (mode & 0o777) + special + (kinds[mode & 0o170000] ?? 0)
}

function pause(ms: number, signal: ApiRequest['signal']): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer)
        resolve()
      },
      { once: true },
    )
  })
}
