import { type IncomingMessage, request } from 'node:http'
import type { Duplex } from 'node:stream'

export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
  /** Parsed when it is JSON. */
  readonly body: Record<string, unknown>
}

/** A small client of the Docker API on a Unix socket. */
export interface ApiClient {
  call(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>
  /** Headers have come; what flows is read by the caller. */
  open(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<IncomingMessage>
  /** Asks for an upgrade and gives the raw connection. */
  hijack(path: string, body?: unknown): Promise<{ readonly answer: IncomingMessage; readonly socket: Duplex }>
}

export function createApiClient(socketPath: string): ApiClient {
  const start = (method: string, path: string, body: unknown, headers: Record<string, string> = {}) => {
    const bytes = body === undefined ? undefined : body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body))
    const sent = request({
      socketPath,
      method,
      path,
      agent: false,
      headers: {
        'Content-Length': String(bytes?.length ?? 0),
        ...(body instanceof Uint8Array
          ? { 'Content-Type': 'application/x-tar' }
          : { 'Content-Type': 'application/json' }),
        ...headers,
      },
    })
    sent.end(bytes)
    return sent
  }
  const open: ApiClient['open'] = (method, path, body, headers) =>
    new Promise((resolve, reject) => start(method, path, body, headers).on('response', resolve).on('error', reject))
  return {
    open,
    async call(method, path, body, headers) {
      const answer = await open(method, path, body, headers)
      const parts: Buffer[] = []
      for await (const chunk of answer) parts.push(chunk as Buffer)
      const text = Buffer.concat(parts).toString('latin1')
      const isJson = answer.headers['content-type'] === 'application/json' && !text.trim().includes('\n')
      const parsed = isJson && text !== '' ? (JSON.parse(text) as Record<string, unknown>) : {}
      return { status: answer.statusCode as number, headers: answer.headers, text, body: parsed }
    },
    hijack: (path, body) =>
      new Promise((resolve, reject) => {
        const sent = start('POST', path, body, { Connection: 'Upgrade', Upgrade: 'tcp' })
        sent.on('upgrade', (answer, socket, head) => {
          if (head.length > 0) socket.unshift(head)
          resolve({ answer, socket })
        })
        sent.on('response', (answer) => reject(new Error(`not upgraded: ${answer.statusCode}`)))
        sent.on('error', reject)
      }),
  }
}

/** Takes a multiplexed stream apart. */
export function unframe(bytes: Buffer): { readonly stdout: string; readonly stderr: string } {
  const parts: Record<number, Buffer[]> = { 1: [], 2: [] }
  for (let at = 0; at + 8 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at + 4)
    parts[bytes[at] as number]?.push(bytes.subarray(at + 8, at + 8 + length))
    at += 8 + length
  }
  return {
    stdout: Buffer.concat(parts[1] as Buffer[]).toString(),
    stderr: Buffer.concat(parts[2] as Buffer[]).toString(),
  }
}

export async function readAll(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const chunk of stream) parts.push(chunk as Buffer)
  return Buffer.concat(parts)
}

/** The JSON values of an answer that has one a line. */
export function jsonLines(text: string): readonly Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

/** A tar with files, for contexts and copies. */
export function tarOf(files: Readonly<Record<string, string>>): Buffer {
  const blocks = Object.entries(files).flatMap(([name, text]) => {
    const content = Buffer.from(text)
    const head = Buffer.alloc(512)
    head.write(name, 0)
    head.write('0000644\0', 100)
    head.write('0000000\0', 108)
    head.write('0000000\0', 116)
    head.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124)
    head.write('00000000000\0', 136)
    head.write('        0', 148)
    head.write('ustar\x0000', 257)
    const sum = head.reduce((total, byte) => total + byte, 0)
    head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
    return [head, content, Buffer.alloc((512 - (content.length % 512)) % 512)]
  })
  return Buffer.concat([...blocks, Buffer.alloc(1024)])
}
