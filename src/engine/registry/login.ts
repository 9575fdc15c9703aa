import { TcomposeError } from '../../base/errors.ts'
import { createAuthorizer } from './authorizer.ts'
import { openDockerConfig } from './docker-config.ts'
import { endpointsOf, registrySettings } from './endpoints.ts'
import { createTransport, explain, isUnreachable } from './transport.ts'
import type { Credentials } from './types.ts'

export interface LoginRequest {
  readonly env: NodeJS.ProcessEnv
  /** Host of the registry; absent: Docker Hub. */
  readonly server?: string | undefined
  readonly username: string
  readonly password: string
  readonly signal?: AbortSignal | undefined
}

/**
 * Checks the credentials with the registry and keeps them in Docker's configuration or its credential store.
 * @returns where they were kept @throws TcomposeError DENIED when the registry refuses them
 */
export async function login(request: LoginRequest): Promise<{ readonly domain: string; readonly storedIn: string }> {
  const domain = domainOf(request.server)
  const credentials: Credentials = { username: request.username, password: request.password }
  await check(domain, credentials, request)
  const config = openDockerConfig(request.env)
  await config.store(domain, credentials)
  return { domain, storedIn: config.path }
}

/** As `login`, keeping nothing. */
export async function checkLogin(request: LoginRequest): Promise<void> {
  await check(domainOf(request.server), { username: request.username, password: request.password }, request)
}

/** Forgets the credentials of a registry. @returns whether there were any */
export async function logout(options: {
  readonly env: NodeJS.ProcessEnv
  readonly server?: string | undefined
}): Promise<{ readonly domain: string; readonly erased: boolean }> {
  const domain = domainOf(options.server)
  return { domain, erased: await openDockerConfig(options.env).erase(domain) }
}

function domainOf(server: string | undefined): string {
  const host = (server ?? 'docker.io').replace(/^https?:\/\//, '').replace(/\/.*$/, '')
  if (!/^[\w.-]+(:\d+)?$|^\[[0-9a-fA-F:]+\](:\d+)?$/.test(host)) {
    throw new TcomposeError('INVALID', `invalid registry name ${JSON.stringify(server)}`)
  }
  return ['index.docker.io', 'registry-1.docker.io'].includes(host) ? 'docker.io' : host
}

async function check(domain: string, credentials: Credentials, request: LoginRequest): Promise<void> {
  let failure: unknown
  for (const endpoint of endpointsOf(domain, registrySettings(request.env), { mirrors: false })) {
    await using transport = createTransport(endpoint, request.env)
    const authorizer = createAuthorizer(transport, endpoint.url, async () => credentials, request.signal)
    try {
      const url = `${endpoint.url}/v2/`
      let response = await transport.send({ method: 'GET', url, signal: request.signal })
      if (response.status === 401) {
        await response.discard()
        await authorizer.challenged(response.headers['www-authenticate'], [], undefined)
        const authorization = await authorizer.header([])
        const headers = authorization === undefined ? {} : { authorization }
        response = await transport.sendPatiently({ method: 'GET', url, headers, signal: request.signal })
      }
      await response.discard()
      if (response.status === 200) return
      if (response.status === 401 || response.status === 403) {
        throw new TcomposeError('DENIED', `login to ${domain} failed: incorrect username or password`)
      }
      throw new TcomposeError('UNAVAILABLE', `login to ${domain} failed: the registry answered ${response.status}`)
    } catch (error) {
      if (error instanceof TcomposeError && error.code === 'DENIED') {
        throw new TcomposeError('DENIED', `login to ${domain} failed: incorrect username or password`)
      }
      const explained = explain(error, domain)
      if (!isUnreachable(error)) throw explained
      failure ??= explained
    }
  }
  throw failure
}
