import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import type { Duplex, Readable } from 'node:stream'
import { badRequest } from './http-error.ts'
import type { ApiVersion } from './router.ts'

/** One request as the routes see it. */
export interface ApiRequest {
  readonly method: string
  readonly version: ApiVersion
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly body: Readable
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal
  /** @throws TcomposeError INVALID for what is no JSON object; `{}` for an empty body */
  json(): Promise<JsonObject>
  /** As `json`, of the object that the body begins with; the rest stays in it, as what a taken-over connection sends. */
  firstJson(): Promise<JsonObject>
}

export interface ApiResponse {
  json(status: number, body: unknown): void
  empty(status: number): void
  /** Headers at once, then chunks as they come; ends with `end`. */
  stream(status: number, contentType: string, headers?: Readonly<Record<string, string>>): ResponseStream
  header(name: string, value: string): void
  /**
   * Takes the connection over for raw bytes both ways: 101 when the client asked for an upgrade, else 200 and a body
   * that ends with the connection, in which case what the client sends is its request body.
   */
  hijack(contentType: string): Duplex
  readonly raw: ServerResponse
}

export interface ResponseStream {
  /** Settles when the client can take more. */
  write(chunk: string | Uint8Array): Promise<void>
  end(): void
}

export type JsonObject = Readonly<Record<string, unknown>>

/** Docker takes these for yes; anything else, or nothing, is no. */
export function flag(query: URLSearchParams, name: string, fallback = false): boolean {
  const value = query.get(name)
  if (value === null || value === '') return fallback
  return !['0', 'false', 'no', 'none'].includes(value.trim().toLowerCase())
}

export function integer(query: URLSearchParams, name: string): number | undefined {
  const value = query.get(name)
  if (value === null || value === '') return undefined
  if (!/^-?\d+$/.test(value)) throw badRequest(`invalid value ${JSON.stringify(value)} for ${name}`)
  return Number(value)
}

/** `filters`: `{"label":["a=b"]}` or, from old clients, `{"label":{"a=b":true}}`. */
export type Filters = ReadonlyMap<string, readonly string[]>

/** @throws TcomposeError INVALID for bad JSON and for keys that are not among `known` */
export function readFilters(query: URLSearchParams, known: readonly string[]): Filters {
  const text = query.get('filters')
  const filters = new Map<string, readonly string[]>()
  if (!text) return filters
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw badRequest('invalid filters: no JSON')
  }
  if (typeof parsed !== 'object' || parsed === null) throw badRequest('invalid filters: no JSON object')
  for (const [key, values] of Object.entries(parsed as Record<string, unknown>)) {
    if (!known.includes(key)) throw badRequest(`invalid filter '${key}'`)
    if (Array.isArray(values)) filters.set(key, values.map(String))
    else if (typeof values === 'object' && values !== null) {
      filters.set(
        key,
        Object.keys(values).filter((value) => (values as Record<string, unknown>)[value]),
      )
    } else throw badRequest(`invalid filter '${key}'`)
  }
  return filters
}
