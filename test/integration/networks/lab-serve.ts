import { execFileSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { createInterface } from 'node:readline'

type Method = (...values: never[]) => unknown

/** What every process of a lab can do in its namespace. */
const base: Record<string, Method> = {
  ping: () => 'pong',
  ip: (lines: string[]) => {
    execFileSync('ip', ['-batch', '-'], { input: lines.join('\n'), stdio: ['pipe', 'ignore', 'pipe'] })
  },
  run: (program: string, args: string[]) => execFileSync(program, args, { encoding: 'utf8' }),
  read: (path: string) => readFileSync(path, 'utf8'),
  write: (path: string, text: string) => writeFileSync(path, text),
  /** Answers every connection, or datagram, with `name` and the address it came from. */
  listen: (protocol: 'tcp' | 'udp', host: string, port: number, name: string) =>
    new Promise((resolve, reject) => {
      if (protocol === 'tcp') {
        const server = createServer((socket) => {
          socket.on('error', () => {})
          socket.end(`${name} ${socket.remoteAddress}`)
        })
        server.on('error', reject)
        server.listen(port, host, () => resolve((server.address() as { port: number }).port))
        return
      }
      const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
      socket.on('error', reject)
      socket.on('message', (_, from) => socket.send(`${name} ${from.address}`, from.port, from.address))
      socket.bind(port, host, () => resolve(socket.address().port))
    }),
  /** What a server says, or the errno, or `timeout`. */
  ask: (protocol: 'tcp' | 'udp', host: string, port: number, timeoutMs: number) =>
    new Promise((resolve) => {
      const done = (answer: string, close: () => void) => {
        clearTimeout(timer)
        close()
        resolve(answer)
      }
      let timer: NodeJS.Timeout
      if (protocol === 'tcp') {
        const socket = connect({ host, port })
        let heard = ''
        timer = setTimeout(() => done('timeout', () => socket.destroy()), timeoutMs)
        socket.on('data', (chunk: Buffer) => {
          heard += chunk.toString()
        })
        socket.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? 'error', () => socket.destroy()))
        socket.on('end', () => done(heard, () => socket.destroy()))
        return
      }
      const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
      const again = setInterval(() => socket.send('?', port, host), 200)
      const end = () => {
        clearInterval(again)
        socket.close()
      }
      timer = setTimeout(() => done('timeout', end), timeoutMs)
      socket.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? 'error', end))
      socket.on('message', (message: Buffer) => done(message.toString(), end))
      socket.send('?', port, host)
    }),
}

/** Works through the calls on stdin until it ends. */
export function serveLab(more: Record<string, Method> = {}): void {
  const methods = { ...base, ...more }
  const lines = createInterface({ input: process.stdin })
  lines.on('line', (line) => void answer(line))
  lines.on('close', () => process.exit(0))
  async function answer(line: string): Promise<void> {
    const { id, method, values } = JSON.parse(line) as { id: number; method: string; values: never[] }
    let reply: object
    try {
      const own = methods[method]
      if (!own) throw new Error(`no method ${method}`)
      reply = { id, value: await own(...values) }
    } catch (error) {
      const { code, message, stack } = error as Error & { code?: string }
      reply = { id, error: { code, message: code ? message : (stack ?? message) } }
    }
    process.stdout.write(`${JSON.stringify(reply)}\n`)
  }
}
