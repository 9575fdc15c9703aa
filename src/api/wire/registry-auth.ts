import { TcomposeError } from '../../base/errors.ts'
import type { Credentials } from '../../engine/registry/types.ts'
import type { JsonObject } from '../exchange.ts'
import { badRequest } from '../http-error.ts'
import { text } from './read.ts'

/**
 * Credentials of an `X-Registry-Auth` header (JSON in base64url); undefined when it is absent or has none in it.
 * @throws TcomposeError INVALID; UNSUPPORTED for a bearer token of the caller's
 */
export function readRegistryAuth(header: string | readonly string[] | undefined): Credentials | undefined {
  const encoded = typeof header === 'string' ? header : header?.[0]
  return encoded ? readAuthEntry(decode(encoded, 'X-Registry-Auth')) : undefined
}

/** Credentials by registry host of an `X-Registry-Config` header. */
export function readRegistryConfig(header: string | readonly string[] | undefined): Record<string, Credentials> {
  const encoded = typeof header === 'string' ? header : header?.[0]
  const all: Record<string, Credentials> = {}
  if (!encoded) return all
  for (const [server, entry] of Object.entries(decode(encoded, 'X-Registry-Config'))) {
    if (typeof entry !== 'object' || entry === null) continue
    const credentials = readAuthEntry(entry as JsonObject)
    if (credentials) all[registryHost(server)] = credentials
  }
  return all
}

/** One set of credentials, as `/auth` has it in its body. */
export function readAuthEntry(entry: JsonObject): Credentials | undefined {
  if (text(entry, 'registrytoken') !== undefined) {
    throw new TcomposeError('UNSUPPORTED', 'registry tokens are not supported', {
      hint: 'give a user name and a password, or an identity token',
    })
  }
  const identityToken = text(entry, 'identitytoken')
  const joined = Buffer.from(text(entry, 'auth') ?? '', 'base64').toString()
  const colon = joined.indexOf(':')
  const username = text(entry, 'username') ?? joined.slice(0, Math.max(colon, 0))
  const password = text(entry, 'password') ?? (colon < 0 ? '' : joined.slice(colon + 1))
  if (identityToken !== undefined) return { username, password, identityToken }
  return username === '' ? undefined : { username, password }
}

/** `https://index.docker.io/v1/` and its kin are `docker.io`. */
export function registryHost(server: string): string {
  const host = server.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
  return ['index.docker.io', 'registry-1.docker.io', ''].includes(host) ? 'docker.io' : host
}

function decode(encoded: string, name: string): JsonObject {
  let parsed: unknown
  try {
    // Takes both alphabets of base64.
    parsed = JSON.parse(Buffer.from(encoded, 'base64url').toString())
  } catch {
    throw badRequest(`invalid ${name} header: no JSON in base64`)
  }
  if (parsed === null) return {}
  if (typeof parsed !== 'object') throw badRequest(`invalid ${name} header: an object is expected`)
  return parsed as JsonObject
}
