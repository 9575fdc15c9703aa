import type { IncomingMessage, ServerResponse } from 'node:http'
import { Duplex, type Readable } from 'node:stream'

/** A connection that has stopped being HTTP because its request asked for that: the body is read already. */
export interface Upgrade {
  readonly socket: Duplex
  readonly body: Buffer
}

/**
 * Takes the connection of a request over for raw bytes both ways.
 * - With `Upgrade`: 101, then the socket.
 * - Without it, the body in chunks: what is left of the body comes in, the answer's body goes out.
 * - Without it, else: 200, then the socket as dockerd hands it out; what comes after the request is raw.
 */
export function takeOver(
  message: IncomingMessage,
  raw: ServerResponse,
  body: Readable,
  upgrade: Upgrade | undefined,
  contentType: string,
): Duplex {
  if (upgrade) {
    const { socket } = upgrade
    raw.detachSocket(socket as never)
    socket.write(`HTTP/1.1 101 UPGRADED\r\nContent-Type: ${contentType}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`)
    return socket
  }
  if (message.headers['transfer-encoding'] !== undefined) {
    raw.shouldKeepAlive = false
    raw.useChunkedEncodingByDefault = false
    raw.writeHead(200, { 'Content-Type': contentType, Connection: 'close' })
    raw.flushHeaders()
    return Duplex.from({ readable: body, writable: raw })
  }
  const { socket } = message
  raw.detachSocket(socket)
  // The parser gets what comes by listening: from here on it is not HTTP's.
  socket.removeAllListeners('data')
  socket.removeAllListeners('end')
  socket.write(`HTTP/1.1 200 OK\r\nContent-Type: ${contentType}\r\n\r\n`)
  return socket
}

const MAX_JSON_BYTES = 8 * 1024 * 1024

/**
 * Reads the JSON object that a body begins with and leaves the rest in it: a client that does not upgrade sends stdin
 * after it. @returns its text, '' when the body ends without one; undefined when it is too long or no object
 */
export async function readFirstObject(body: Readable): Promise<string | undefined> {
  const parts: Buffer[] = []
  let length = 0
  const scan = createObjectScan()
  for (;;) {
    const chunk = body.read() as Buffer | null
    if (chunk === null) {
      if (body.readableEnded || body.destroyed) break
      await readable(body)
      continue
    }
    const end = scan(chunk)
    if (end === 'none') return undefined
    const part = end === undefined ? chunk : chunk.subarray(0, end)
    parts.push(part)
    length += part.length
    if (length > MAX_JSON_BYTES) return undefined
    if (end === undefined) continue
    if (end < chunk.length) body.unshift(chunk.subarray(end))
    break
  }
  return Buffer.concat(parts).toString()
}

function readable(body: Readable): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      for (const name of ['readable', 'end', 'close']) body.off(name, go)
      resolve()
    }
    for (const name of ['readable', 'end', 'close']) body.on(name, go)
  })
}

/** Finds where a JSON object ends, over chunks: the place after its brace, 'none' when something else begins. */
export function createObjectScan(): (chunk: Uint8Array) => number | 'none' | undefined {
  let depth = 0
  let quoted = false
  let escaped = false
  return (chunk) => {
    for (const [index, byte] of chunk.entries()) {
      if (quoted) {
        if (escaped) escaped = false
        else if (byte === BACKSLASH) escaped = true
        else if (byte === QUOTE) quoted = false
      } else if (byte === QUOTE && depth > 0) quoted = true
      else if (byte === OPEN) depth++
      else if (byte === CLOSE && depth > 0) {
        depth--
        if (depth === 0) return index + 1
      } else if (depth === 0 && byte > SPACE) return 'none'
    }
    return undefined
  }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN = 0x7b
const CLOSE = 0x7d
const SPACE = 0x20
