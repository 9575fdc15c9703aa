import { readdirSync, readFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import tls from 'node:tls'
import { type Dispatcher, EnvHttpProxyAgent, request } from 'undici'
import { sleep } from '../../base/concurrency.ts'
import { errnoOf, messageOf, TcomposeError, throwIfAborted } from '../../base/errors.ts'
import type { Endpoint } from './types.ts'

const ATTEMPTS = 6
const FIRST_PAUSE_MS = 200
const LONGEST_PAUSE_MS = 20_000
const MAX_ANSWER = 16 << 20
const RETRIED = new Set([408, 425, 429, 500, 502, 503, 504])

export interface RegistryRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH'
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  /** A stream is sent once: a request that has one is not retried. */
  readonly body?: Uint8Array | Readable | string | undefined
  readonly signal?: AbortSignal | undefined
}

export interface RegistryResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Readable
  /** Where redirects ended. */
  readonly url: string
  /** Small bodies. */
  bytes(): Promise<Buffer>
  /** Lets go of a body that nobody wants. */
  discard(): Promise<void>
}

/** Connections to one endpoint and to where it redirects, through proxies as HTTP_PROXY and its kin say. */
export interface Transport extends AsyncDisposable {
  /** Follows redirects; `Authorization` goes only to the origin that the request names. */
  send(request: RegistryRequest): Promise<RegistryResponse>
  /** As `send`, once more after a pause on failures that may pass. */
  sendPatiently(request: RegistryRequest): Promise<RegistryResponse>
}

export function createTransport(endpoint: Endpoint, env: NodeJS.ProcessEnv): Transport {
  const origin = new URL(endpoint.url).origin
  const proxies = {
    httpProxy: env.http_proxy ?? env.HTTP_PROXY ?? '',
    httpsProxy: env.https_proxy ?? env.HTTPS_PROXY ?? '',
    noProxy: env.no_proxy ?? env.NO_PROXY ?? '',
  }
  const common = { ...proxies, headersTimeout: 60_000, bodyTimeout: 60_000, connections: 16 }
  const trust = { ...tlsOptions(endpoint), timeout: 15_000 }
  // The registry's own certificates say nothing about the hosts it redirects to.
  const own = new EnvHttpProxyAgent({ ...common, connect: trust, requestTls: trust })
  let other: Dispatcher | undefined
  const dispatcherFor = (url: URL): Dispatcher => {
    if (url.origin === origin) return own
    other ??= new EnvHttpProxyAgent({ ...common, connect: { timeout: 15_000 } })
    return other
  }

  const send = async (wanted: RegistryRequest): Promise<RegistryResponse> => {
    let url = new URL(wanted.url)
    const first = url.origin
    let { method, body } = wanted
    for (let hop = 0; ; hop++) {
      throwIfAborted(wanted.signal)
      const headers: Record<string, string> = { 'user-agent': 'tcompose', ...wanted.headers }
      if (url.origin !== first) delete headers.authorization
      const response = await request(url, {
        method,
        headers,
        body: body ?? null,
        dispatcher: dispatcherFor(url),
        ...(wanted.signal ? { signal: wanted.signal } : {}),
      })
      const answer = responseOf(response, url.href)
      const { location } = answer.headers
      if (![301, 302, 303, 307, 308].includes(answer.status) || location === undefined) return answer
      await answer.discard()
      if (hop >= 10) throw new TcomposeError('UNAVAILABLE', `${wanted.url}: too many redirects`)
      const next = new URL(location, url)
      if (url.protocol === 'https:' && next.protocol === 'http:') {
        throw new TcomposeError('UNAVAILABLE', `${wanted.url}: refusing a redirect from https to http`)
      }
      if (answer.status === 303) {
        method = 'GET'
        body = undefined
      }
      url = next
    }
  }

  return {
    send,
    async sendPatiently(wanted) {
      for (let attempt = 1; ; attempt++) {
        let pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (attempt - 1), LONGEST_PAUSE_MS) * (0.75 + Math.random() / 2)
        try {
          const response = await send(wanted)
          if (!RETRIED.has(response.status) || attempt >= ATTEMPTS) return response
          const after = retryAfterMs(response.headers['retry-after'])
          if (after !== undefined) {
            if (after > 60_000) return response
            pauseMs = Math.max(pauseMs, after)
          }
          await response.discard()
        } catch (error) {
          if (attempt >= ATTEMPTS || !mayPass(error, wanted.signal)) throw error
        }
        await sleep(pauseMs, wanted.signal)
      }
    },
    async [Symbol.asyncDispose]() {
      await own.destroy()
      await other?.destroy()
    },
  }
}

function responseOf(response: Dispatcher.ResponseData, url: string): RegistryResponse {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(response.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value
  }
  return {
    status: response.statusCode,
    headers,
    body: response.body,
    url,
    async bytes() {
      const chunks: Buffer[] = []
      let size = 0
      for await (const chunk of response.body) {
        size += (chunk as Buffer).length
        if (size > MAX_ANSWER) throw new TcomposeError('INVALID', `${url}: the answer is too long`)
        chunks.push(chunk as Buffer)
      }
      return Buffer.concat(chunks)
    },
    async discard() {
      response.body.on('error', () => {})
      await response.body.dump({ limit: 1 << 16 }).catch(() => {})
    },
  }
}

/** Whether it is worth asking again: the network failed, not the request. */
export function mayPass(error: unknown, signal: AbortSignal | undefined): boolean {
  if (signal?.aborted || error instanceof TcomposeError) return false
  const code = errnoOf(error) ?? errnoOf((error as { cause?: unknown }).cause) ?? ''
  return /^(ECONNRESET|EPIPE|ETIMEDOUT|EAI_AGAIN|UND_ERR_SOCKET|UND_ERR_HEADERS_TIMEOUT|UND_ERR_BODY_TIMEOUT|UND_ERR_CONNECT_TIMEOUT|UND_ERR_RES_CONTENT_LENGTH_MISMATCH|HPE_|ERR_STREAM_PREMATURE_CLOSE)/.test(
    code,
  )
}

/** Whether nothing that speaks this protocol answers there, so that another endpoint may be tried. */
export function isUnreachable(error: unknown): boolean {
  const code = errnoOf(error) ?? errnoOf((error as { cause?: unknown }).cause) ?? ''
  return /^(ECONNREFUSED|ENOTFOUND|EHOSTUNREACH|ENETUNREACH|EPROTO|ERR_SSL|ERR_TLS|HPE_|UND_ERR_SOCKET|UND_ERR_CONNECT_TIMEOUT|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|CERT_|EAI_AGAIN|ECONNRESET)/.test(
    code,
  )
}

/** What a failed connection means, in words. */
export function explain(error: unknown, host: string): unknown {
  if (error instanceof TcomposeError || !(error instanceof Error)) return error
  const code = errnoOf(error) ?? errnoOf(error.cause) ?? ''
  if (error.name === 'AbortError' || code === 'UND_ERR_ABORTED')
    return new TcomposeError('CANCELED', 'interrupted', { cause: error })
  if (/SELF_SIGNED|UNABLE_TO|CERT_|DEPTH_ZERO|ERR_TLS_CERT/.test(code)) {
    return new TcomposeError('UNAVAILABLE', `the certificate of registry ${host} is not trusted: ${messageOf(error)}`, {
      hint: `put its CA into /etc/docker/certs.d/${host}/ca.crt`,
      cause: error,
    })
  }
  const hint = /ENOTFOUND|EAI_AGAIN/.test(code) ? 'check the name, the network and the DNS servers' : undefined
  return new TcomposeError('UNAVAILABLE', `registry ${host} cannot be reached: ${messageOf(error)}`, {
    hint,
    cause: error,
  })
}

function retryAfterMs(header: string | undefined): number | undefined {
  if (header === undefined) return undefined
  const seconds = Number(header)
  if (Number.isFinite(seconds)) return Math.max(seconds, 0) * 1000
  const date = Date.parse(header)
  return Number.isNaN(date) ? undefined : Math.max(date - Date.now(), 0)
}

interface Trust {
  readonly rejectUnauthorized?: boolean
  readonly ca?: string[]
  readonly cert?: string[]
  readonly key?: string[]
}

function tlsOptions(endpoint: Endpoint): Trust {
  if (!endpoint.verify) return { rejectUnauthorized: false }
  const own: string[] = []
  const pairs: { cert: string; key: string }[] = []
  for (const directory of endpoint.certificateDirectories) {
    const names = readdirSync(directory)
    for (const name of names) {
      if (name.endsWith('.crt')) own.push(readFileSync(`${directory}/${name}`, 'utf8'))
      const key = name.replace(/\.cert$/, '.key')
      if (!name.endsWith('.cert')) continue
      if (!names.includes(key)) {
        throw new TcomposeError('INVALID', `${directory}/${name} has no key ${key} beside it`)
      }
      pairs.push({
        cert: readFileSync(`${directory}/${name}`, 'utf8'),
        key: readFileSync(`${directory}/${key}`, 'utf8'),
      })
    }
  }
  // Those that the system trusts, as every other program here does, and Node's own list.
  const ca = [...new Set([...tls.getCACertificates('default'), ...tls.getCACertificates('system'), ...own])]
  return pairs.length === 0 ? { ca } : { ca, cert: pairs.map((pair) => pair.cert), key: pairs.map((pair) => pair.key) }
}
