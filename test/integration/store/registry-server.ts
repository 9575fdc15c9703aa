import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, createSign, randomUUID, X509Certificate } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '../../support/eventually.ts'

const fixtures = join(import.meta.dirname, 'fixtures')
export const CA = join(fixtures, 'ca.crt')

export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:port` */
  readonly host: string
}

export interface RegistryOptions {
  /** user `tester`, password `secret` */
  readonly htpasswd?: boolean
  readonly tls?: boolean
  /** URL of a token server */
  readonly tokenRealm?: string
}

/** Debian's docker-registry on a port of its own with an empty storage of its own. */
export async function startRegistry(options: RegistryOptions = {}): Promise<TestRegistry> {
  const base = mkdtempSync(join(tmpdir(), 'tcr-'))
  mkdirSync(join(base, 'data'))
  writeFileSync(join(base, 'htpasswd'), 'tester:$2b$04$g9Va898G8q/wEqMGwvozV.JSNuWkSjhyKU.u9b1X4rohyqNr0m9C2\n')
  for (let attempt = 0; ; attempt++) {
    const port = await unusedPort()
    writeFileSync(join(base, 'config.yml'), configOf(base, port, options))
    const child = spawn('docker-registry', ['serve', join(base, 'config.yml')], {
      stdio: ['ignore', 'ignore', 'ignore'],
    })
    const host = `127.0.0.1:${port}`
    try {
      await answers(child, options.tls ? `https://${host}` : `http://${host}`)
      return {
        host,
        async [Symbol.asyncDispose]() {
          const gone = new Promise((resolve) => child.once('exit', resolve))
          child.kill('SIGKILL')
          await gone
          rmSync(base, { recursive: true, force: true })
        },
      }
    } catch (error) {
      // Somebody else took the port meanwhile.
      child.kill('SIGKILL')
      if (attempt > 4) throw error
    }
  }
}

function configOf(base: string, port: number, options: RegistryOptions): string {
  const config = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(base, 'data') }, cache: { blobdescriptor: 'inmemory' } },
    http: {
      addr: `127.0.0.1:${port}`,
      ...(options.tls ? { tls: { certificate: join(fixtures, 'server.crt'), key: join(fixtures, 'server.key') } } : {}),
    },
    ...(options.htpasswd ? { auth: { htpasswd: { realm: 'test', path: join(base, 'htpasswd') } } } : {}),
    ...(options.tokenRealm
      ? {
          auth: {
            token: {
              realm: options.tokenRealm,
              service: 'test-registry',
              issuer: 'test-issuer',
              rootcertbundle: join(fixtures, 'token.crt'),
            },
          },
        }
      : {}),
  }
  return JSON.stringify(config)
}

async function answers(child: ChildProcess, url: string): Promise<void> {
  const { request, Agent } = await import('undici')
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } })
  try {
    await eventually(async () => {
      if (child.exitCode !== null) return
      const { body } = await request(`${url}/v2/`, { dispatcher })
      await body.dump()
    }, 30_000)
    if (child.exitCode !== null) throw new Error('the registry has ended')
  } finally {
    await dispatcher.close()
  }
}

async function unusedPort(): Promise<number> {
  const server = http.createServer()
  const port = await listen(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

function listen(server: http.Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}

export interface TokenServer extends AsyncDisposable {
  readonly realm: string
  /** What was asked for. */
  readonly scopes: string[]
}

/** Gives tokens for any scope to user `tester`, and for pulling to everybody else. */
export async function startTokenServer(): Promise<TokenServer> {
  const key = readFileSync(join(fixtures, 'token.key'), 'utf8')
  const certificate = new X509Certificate(readFileSync(join(fixtures, 'token.crt')))
  const scopes: string[] = []
  const encode = (value: object | Buffer) =>
    (Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value))).toString('base64url')
  const server = http.createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://x')
    const login = Buffer.from((request.headers.authorization ?? '').replace(/^Basic /, ''), 'base64').toString()
    if (request.headers.authorization !== undefined && login !== 'tester:secret') {
      response.writeHead(401).end('{}')
      return
    }
    const asked = url.searchParams.getAll('scope').flatMap((scope) => scope.split(' '))
    scopes.push(...asked)
    const access = asked.map((scope) => {
      const [type, name, actions] = scope.split(':') as [string, string, string]
      const all = actions.split(',')
      return { type, name, actions: login === 'tester:secret' ? all : all.filter((action) => action === 'pull') }
    })
    const now = Math.floor(Date.now() / 1000)
    const head = encode({ typ: 'JWT', alg: 'RS256', x5c: [certificate.raw.toString('base64')] })
    const claims = encode({
      iss: 'test-issuer',
      aud: url.searchParams.get('service'),
      sub: login.split(':')[0],
      iat: now,
      nbf: now - 5,
      exp: now + 300,
      jti: randomUUID(),
      access,
    })
    const signature = createSign('RSA-SHA256').update(`${head}.${claims}`).sign(key)
    response.end(JSON.stringify({ token: `${head}.${claims}.${encode(signature)}`, expires_in: 300 }))
  })
  const port = await listen(server)
  return { realm: `http://127.0.0.1:${port}/token`, scopes, [Symbol.asyncDispose]: () => closeServer(server) }
}

export interface Exchange {
  readonly method: string
  readonly url: string
  readonly headers: http.IncomingHttpHeaders
}

/** Stands between a client and a registry, notes what is asked, and spoils answers as it is told. */
export interface FaultProxy extends AsyncDisposable {
  readonly host: string
  readonly exchanges: Exchange[]
}

export interface Faults {
  /** Answers by itself: true when it did. */
  readonly answer?: (request: http.IncomingMessage, response: http.ServerResponse, count: number) => boolean
  /** Changes a body on its way; null cuts the connection there. */
  readonly chunk?: (chunk: Buffer, request: Exchange, sentBytes: number) => Buffer | null
}

export async function startFaultProxy(registry: string, faults: Faults = {}): Promise<FaultProxy> {
  const exchanges: Exchange[] = []
  const server = http.createServer((request, response) => {
    const exchange = { method: request.method ?? '', url: request.url ?? '', headers: request.headers }
    exchanges.push(exchange)
    if (faults.answer?.(request, response, exchanges.length)) return
    const [hostname, port] = registry.split(':') as [string, string]
    const headers = { ...request.headers }
    const forwarded = http.request({ hostname, port, method: request.method, path: request.url, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      let sent = 0
      answer.on('data', (chunk: Buffer) => {
        const changed = faults.chunk ? faults.chunk(chunk, exchange, sent) : chunk
        if (changed === null) {
          answer.destroy()
          response.destroy()
          return
        }
        sent += changed.length
        if (!response.write(changed)) {
          answer.pause()
          response.once('drain', () => answer.resume())
        }
      })
      answer.on('end', () => response.end())
      answer.on('error', () => response.destroy())
    })
    forwarded.on('error', () => response.destroy())
    request.pipe(forwarded)
  })
  const port = await listen(server)
  return { host: `127.0.0.1:${port}`, exchanges, [Symbol.asyncDispose]: () => closeServer(server) }
}

function closeServer(server: http.Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

/** Bytes that do not compress, the same for the same seed. */
export function noise(seed: string, bytes: number): Buffer {
  const parts: Buffer[] = []
  for (let at = 0, index = 0; at < bytes; at += 32, index++) {
    parts.push(createHash('sha256').update(`${seed}${index}`).digest())
  }
  return Buffer.concat(parts).subarray(0, bytes)
}
