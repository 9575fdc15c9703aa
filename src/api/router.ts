import type { ApiRequest, ApiResponse } from './exchange.ts'

export type Handler = (request: ApiRequest, response: ApiResponse) => Promise<void>

/** `GET /containers/{id}/json`; `{name*}` takes slashes too, as image names have them. */
export type Routes = Readonly<Record<string, Handler>>

export interface Match {
  readonly handler: Handler
  readonly params: Readonly<Record<string, string>>
}

export interface Router {
  /** Undefined when nothing has that method and path. HEAD is answered by GET where it has no route of its own. */
  match(method: string, path: string): Match | undefined
}

interface Compiled {
  readonly method: string
  readonly pattern: RegExp
  readonly handler: Handler
}

export function createRouter(...tables: readonly Routes[]): Router {
  const routes: readonly Compiled[] = tables.flatMap((table) => Object.entries(table).map(compile))
  const find = (method: string, path: string): Match | undefined => {
    for (const route of routes) {
      if (route.method !== method) continue
      const found = route.pattern.exec(path)
      if (found) return { handler: route.handler, params: { ...found.groups } }
    }
    return undefined
  }
  return { match: (method, path) => find(method, path) ?? (method === 'HEAD' ? find('GET', path) : undefined) }
}

function compile([route, handler]: [string, Handler]): Compiled {
  const [method = '', path = ''] = route.split(' ')
  const source = path
    .replace(/[.]/g, '\\.')
    .replace(/\{(\w+)\*\}/g, '(?<$1>.+)')
    .replace(/\{(\w+)\}/g, '(?<$1>[^/]+)')
  return { method, pattern: new RegExp(`^${source}$`), handler }
}

export const API_VERSION = '1.51'
export const MIN_API_VERSION = '1.24'
/** docker-compose 1 asks for versions down to this one. */
const OLDEST_SERVED = 21

/** A version as the minor number: all of ours are 1.x. */
export type ApiVersion = number

export interface VersionedPath {
  readonly version: ApiVersion
  readonly path: string
}

/** Splits `/v1.41/info`; a path without a version means the newest. @returns the message to refuse it with, else */
export function splitVersion(path: string): VersionedPath | string {
  const newest = Number(API_VERSION.slice(2))
  const match = /^\/v(\d+)\.(\d+)(\/.*)$/.exec(path)
  if (!match) return { version: newest, path }
  const asked = `${match[1]}.${match[2]}`
  const minor = Number(match[2])
  if (match[1] !== '1' || minor > newest) {
    return `client version ${asked} is too new. Maximum supported API version is ${API_VERSION}`
  }
  if (minor < OLDEST_SERVED) {
    return `client version ${asked} is too old. Minimum supported API version is ${MIN_API_VERSION}, please upgrade your client to a newer version`
  }
  return { version: minor, path: match[3] as string }
}
