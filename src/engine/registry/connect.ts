import { TcomposeError } from '../../base/errors.ts'
import type { Reference } from '../../base/reference.ts'
import { createRepositoryClient } from './client.ts'
import { openDockerConfig } from './docker-config.ts'
import { endpointsOf, registrySettings } from './endpoints.ts'
import { explain, isUnreachable } from './transport.ts'
import type { RepositoryClient } from './types.ts'

export interface ConnectOptions {
  readonly env: NodeJS.ProcessEnv
  readonly action: 'pull' | 'push'
  readonly insecure?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Tries the endpoints of a registry (mirrors, https, http where allowed) until `first` succeeds at one, and gives its
 * result with the client that it succeeded with, which the caller disposes. A refusal ends the search, except a mirror's.
 */
export async function connectRepository<T>(
  reference: Reference,
  options: ConnectOptions,
  first: (client: RepositoryClient) => Promise<T>,
): Promise<{ readonly client: RepositoryClient; readonly result: T }> {
  const config = openDockerConfig(options.env)
  let login: ReturnType<typeof config.credentials> | undefined
  const credentials = () => {
    login ??= config.credentials(reference.domain)
    return login
  }
  const endpoints = endpointsOf(reference.domain, registrySettings(options.env), {
    insecure: options.insecure ?? false,
    mirrors: options.action === 'pull',
  })
  let failure: unknown
  for (const endpoint of endpoints) {
    const client = createRepositoryClient(reference, { ...options, endpoint, credentials })
    try {
      return { client, result: await first(client) }
    } catch (error) {
      await client[Symbol.asyncDispose]()
      const mayGoOn = endpoint.mirror
        ? !(error instanceof TcomposeError && error.code === 'CANCELED')
        : isUnreachable(error)
      // What the last endpoint says is about http on a TLS port, or the other way round: the first one matters.
      failure ??= explain(error, new URL(endpoint.url).host)
      if (!mayGoOn) throw explain(error, new URL(endpoint.url).host)
      if (endpoint.mirror) failure = undefined
    }
  }
  throw failure
}
