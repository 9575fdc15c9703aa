import { TcomposeError } from '../../base/errors.ts'
import { type Challenge, parseChallenges } from './challenge.ts'
import type { Transport } from './transport.ts'
import type { Credentials } from './types.ts'

/** Finds the `Authorization` that a registry asks for; tokens are kept until shortly before they expire. */
export interface Authorizer {
  /** For the scopes, if it is known already what the registry wants. */
  header(scopes: readonly string[]): Promise<string | undefined>
  /** Takes in a 401 to a request that had the authorization `used`; false when asking again is of no use. */
  challenged(header: string | undefined, scopes: readonly string[], used: string | undefined): Promise<boolean>
}

interface Token {
  readonly header: string
  readonly expiresAt: number
}

export function createAuthorizer(
  transport: Transport,
  registryUrl: string,
  credentials: () => Promise<Credentials | undefined>,
  signal: AbortSignal | undefined,
): Authorizer {
  let challenge: Challenge | undefined
  const tokens = new Map<string, Promise<Token>>()
  const refused = new Set<string>()
  const keyOf = (scopes: readonly string[]) => scopes.toSorted().join(' ')

  const fetchToken = async (bearer: Challenge, scopes: readonly string[]): Promise<Token> => {
    const { realm, service } = bearer.parameters
    if (realm === undefined || !URL.canParse(realm)) {
      throw new TcomposeError('UNAVAILABLE', `${registryUrl} asks for a token and does not say where to get it`)
    }
    const url = new URL(realm)
    const login = await credentials()
    if (login && url.protocol === 'http:' && registryUrl.startsWith('https:')) {
      throw new TcomposeError('DENIED', `refusing to send credentials to ${url.origin}, which is not encrypted`)
    }
    const response = login?.identityToken
      ? await transport.sendPatiently({
          method: 'POST',
          url: url.href,
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({
            grant_type: 'refresh_token',
            refresh_token: login.identityToken,
            client_id: 'tcompose',
            ...(service === undefined ? {} : { service }),
            scope: scopes.join(' '),
          }).toString(),
          signal,
        })
      : await transport.sendPatiently({
          method: 'GET',
          url: withQuery(url, service, scopes, login),
          headers: login ? { authorization: basic(login) } : {},
          signal,
        })
    const text = (await response.bytes()).toString()
    if (response.status === 401 || response.status === 403) {
      throw new TcomposeError('DENIED', login ? 'incorrect username or password' : 'authentication required')
    }
    if (response.status !== 200) {
      throw new TcomposeError('UNAVAILABLE', `${url.origin} gave no token: status ${response.status}`)
    }
    const answer = JSON.parse(text) as { token?: string; access_token?: string; expires_in?: number }
    const token = answer.token ?? answer.access_token
    if (!token) throw new TcomposeError('UNAVAILABLE', `${url.origin} gave no token`)
    const seconds = Math.max(answer.expires_in ?? 60, 10)
    return { header: `Bearer ${token}`, expiresAt: Date.now() + (seconds - 5) * 1000 }
  }

  const header = async (scopes: readonly string[]): Promise<string | undefined> => {
    if (!challenge) return undefined
    if (challenge.scheme === 'basic') {
      const login = await credentials()
      return login && basic(login)
    }
    const key = keyOf(scopes)
    const known = await tokens.get(key)?.catch(() => undefined)
    if (known && known.expiresAt > Date.now()) return known.header
    const fresh = fetchToken(challenge, scopes)
    tokens.set(key, fresh)
    return (await fresh).header
  }

  return {
    header,
    async challenged(text, scopes, used) {
      const offers = parseChallenges(text ?? '')
      const chosen =
        offers.find((offer) => offer.scheme === 'bearer') ?? offers.find((offer) => offer.scheme === 'basic')
      if (!chosen) return false
      if (used === undefined) {
        challenge ??= chosen
        return challenge.scheme === 'bearer' || (await credentials()) !== undefined
      }
      if (challenge?.scheme === 'basic') return false
      const key = keyOf(scopes)
      const known = await tokens.get(key)?.catch(() => undefined)
      // Somebody else has asked for a new one meanwhile.
      if (known && known.header !== used) return true
      // A fresh token that is refused will not be better the second time.
      if (refused.has(key)) return false
      refused.add(key)
      tokens.delete(key)
      challenge = chosen
      return true
    },
  }
}

function basic(login: Credentials): string {
  return `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`
}

function withQuery(
  url: URL,
  service: string | undefined,
  scopes: readonly string[],
  login: Credentials | undefined,
): string {
  const full = new URL(url)
  if (service !== undefined) full.searchParams.set('service', service)
  for (const scope of scopes) full.searchParams.append('scope', scope)
  if (login) full.searchParams.set('account', login.username)
  return full.href
}
