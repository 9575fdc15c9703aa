import { chmodSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http'
import { type Duplex, Readable } from 'node:stream'
import type { Engine } from '../engine/engine.ts'
import type { ApiRequest, ApiResponse, JsonObject, ResponseStream } from './exchange.ts'
import { readFirstObject, takeOver, type Upgrade } from './hijack.ts'
import { badRequest, errorBody, httpStatus } from './http-error.ts'
import { API_VERSION, createRouter, type Router, splitVersion } from './router.ts'
import { buildRoutes } from './routes/build.ts'
import { containerRoutes } from './routes/containers.ts'
import { diskUseRoutes } from './routes/disk-use.ts'
import { eventRoutes } from './routes/events.ts'
import { createExecs, execRoutes } from './routes/exec.ts'
import { imageRoutes } from './routes/images.ts'
import { networkRoutes } from './routes/networks.ts'
import { streamRoutes } from './routes/streams.ts'
import { systemRoutes } from './routes/system.ts'
import { unsupportedRoutes } from './routes/unsupported.ts'
import { volumeRoutes } from './routes/volumes.ts'

const MAX_JSON_BYTES = 8 * 1024 * 1024
const MAX_HEADER_BYTES = 64 * 1024

export interface ApiServer extends AsyncDisposable {
  /** Open connections, those taken over by streams included. */
  readonly connections: number
}

export interface ApiServerOptions {
  /** Unix socket; an old one there is replaced. */
  readonly path: string
  /** Permission bits of the socket; default 0o660. */
  readonly mode?: number
  /** What `/version` and `/info` call us. */
  readonly version: string
  /** For registries, as the engine was opened with; default this process's. */
  readonly env?: NodeJS.ProcessEnv
  readonly onConnectionsChange?: () => void
}

/** Serves the Docker Engine API of an engine. */
export async function listenApi(engine: Engine, options: ApiServerOptions): Promise<ApiServer> {
  const execs = createExecs()
  const router = createRouter(
    systemRoutes(engine, options),
    containerRoutes(engine, (id) => execs.of(id)),
    streamRoutes(engine),
    execRoutes(engine, execs),
    imageRoutes(engine),
    networkRoutes(engine),
    volumeRoutes(engine),
    eventRoutes(engine),
    buildRoutes(engine),
    diskUseRoutes(engine),
    unsupportedRoutes(),
  )
  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES, requestTimeout: 0 }, (request, response) => {
    serve(router, request, response, undefined).catch(() => response.destroy())
  })
  const sockets = new Set<Duplex>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    options.onConnectionsChange?.()
    socket.on('close', () => {
      sockets.delete(socket)
      options.onConnectionsChange?.()
    })
  })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    serveUpgrade(router, request, socket, head).catch(() => socket.destroy())
  })
  await listen(server, options.path, options.mode ?? 0o660)
  return {
    get connections() {
      return sockets.size
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

async function listen(server: Server, path: string, mode: number): Promise<void> {
  rmSync(path, { force: true })
  const mask = process.umask(0o177)
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, resolve)
    })
  } finally {
    process.umask(mask)
  }
  chmodSync(path, mode)
}

/** An upgrade's body is not read by Node's parser: it stands on the socket, before the raw bytes. */
async function serveUpgrade(router: Router, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
  socket.on('error', () => {})
  const length = Number(request.headers['content-length'] ?? 0)
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket as never)
  if (!(length >= 0 && length <= MAX_JSON_BYTES) || request.headers['transfer-encoding'] !== undefined) {
    response.writeHead(400).end()
    return
  }
  if (head.length > 0) socket.unshift(head)
  const body = await readExactly(socket, length)
  await serve(router, request, response, { socket, body })
  // Taken over, the connection is no longer the response's.
  if (response.writableFinished) socket.end()
  else if (response.writableEnded) response.once('finish', () => socket.end())
}

async function serve(
  router: Router,
  message: IncomingMessage,
  raw: ServerResponse,
  upgrade: Upgrade | undefined,
): Promise<void> {
  raw.setHeader('Api-Version', API_VERSION)
  raw.setHeader('Docker-Experimental', 'false')
  raw.setHeader('Ostype', 'linux')
  raw.setHeader('Server', `Docker/tcompose (linux)`)
  const body = upgrade ? Readable.from(upgrade.body.length > 0 ? [upgrade.body] : []) : message
  const response = createResponse(message, raw, body, upgrade)
  const gone = new AbortController()
  raw.on('close', () => gone.abort())
  upgrade?.socket.on('close', () => gone.abort())
  try {
    const url = new URL(message.url ?? '/', 'http://engine')
    const pathname = (message.url ?? '/').split('?')[0] as string
    if (pathname.includes('//')) {
      raw.setHeader('Location', pathname.replace(/\/{2,}/g, '/') + url.search)
      return response.empty(301)
    }
    const versioned = splitVersion(decode(pathname))
    if (typeof versioned === 'string') throw badRequest(versioned)
    const match = router.match(message.method ?? 'GET', versioned.path)
    if (!match) return response.json(404, { message: 'page not found' })
    const request: ApiRequest = {
      method: message.method ?? 'GET',
      version: versioned.version,
      params: match.params,
      query: url.searchParams,
      headers: message.headers,
      body,
      signal: gone.signal,
      json: () => readJson(body),
      async firstJson() {
        if (upgrade || message.headers['transfer-encoding'] === undefined) return await readJson(body)
        const text = await readFirstObject(body)
        if (text === undefined) throw badRequest('invalid JSON in request body: an object is expected')
        return parseJson(text)
      },
    }
    await match.handler(request, response)
  } catch (error) {
    if (raw.headersSent || raw.destroyed) raw.destroy()
    else response.json(httpStatus(error), errorBody(error))
  }
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    throw badRequest('invalid escape in path')
  }
}

function createResponse(
  message: IncomingMessage,
  raw: ServerResponse,
  body: Readable,
  upgrade: Upgrade | undefined,
): ApiResponse {
  return {
    raw,
    header: (name, value) => void raw.setHeader(name, value),
    json(status, body) {
      const bytes = Buffer.from(`${JSON.stringify(body)}\n`)
      raw.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': bytes.length })
      raw.end(message.method === 'HEAD' ? undefined : bytes)
    },
    empty(status) {
      raw.writeHead(status)
      raw.end()
    },
    stream(status, contentType, headers = {}) {
      raw.writeHead(status, { 'Content-Type': contentType, ...headers })
      raw.flushHeaders()
      return responseStream(raw)
    },
    hijack(contentType) {
      return takeOver(message, raw, body, upgrade, contentType)
    },
  }
}

function responseStream(raw: ServerResponse): ResponseStream {
  return {
    write(chunk) {
      if (raw.destroyed || raw.write(chunk)) return Promise.resolve()
      return new Promise((resolve) => {
        const done = (): void => {
          raw.off('drain', done)
          raw.off('close', done)
          resolve()
        }
        raw.on('drain', done)
        raw.on('close', done)
      })
    },
    end: () => void raw.end(),
  }
}

async function readJson(body: Readable): Promise<JsonObject> {
  const parts: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += (chunk as Buffer).length
    if (size > MAX_JSON_BYTES) throw badRequest('request body is too large')
    parts.push(chunk as Buffer)
  }
  return parseJson(Buffer.concat(parts).toString())
}

function parseJson(body: string): JsonObject {
  const text = body.trim()
  if (text === '' || text === 'null') return {}
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw badRequest('invalid JSON in request body')
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw badRequest('invalid JSON in request body: an object is expected')
  }
  return parsed as JsonObject
}

async function readExactly(socket: Duplex, length: number): Promise<Buffer> {
  const parts: Buffer[] = []
  let missing = length
  while (missing > 0) {
    const chunk = socket.read() as Buffer | null
    if (chunk === null) {
      if (socket.readableEnded || socket.destroyed) throw badRequest('the request body ends early')
      await new Promise<void>((resolve) => {
        const go = (): void => {
          for (const name of ['readable', 'end', 'close']) socket.off(name, go)
          resolve()
        }
        for (const name of ['readable', 'end', 'close']) socket.on(name, go)
      })
      continue
    }
    const part = chunk.subarray(0, missing)
    parts.push(part)
    missing -= part.length
    if (part.length < chunk.length) socket.unshift(chunk.subarray(part.length))
  }
  return Buffer.concat(parts)
}
