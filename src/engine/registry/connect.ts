import { TcomposeError } from '../../base/errors.ts'
import type { Reference } from '../../base/reference.ts'
import { createRepositoryClient } from './client.ts'
import { openDockerConfig } from './docker-config.ts'
import { endpointsOf, registrySettings } from './endpoints.ts'
import { createTransport, explain, isUnreachable } from './transport.ts'
import type { Credentials, Endpoint, RepositoryClient } from './types.ts'

export interface ConnectOptions {
  readonly env: NodeJS.ProcessEnv
  readonly action: 'pull' | 'push'
  readonly insecure?: boolean | undefined
  readonly signal?: AbortSignal | undefined
  /** Instead of those in Docker's configuration. */
  readonly credentials?: Credentials | undefined
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
    login ??= options.credentials ? Promise.resolve(options.credentials) : config.credentials(reference.domain)
    return login
  }
  const endpoints = endpointsOf(reference.domain, registrySettings(options.env), {
    insecure: options.insecure ?? false,
    mirrors: options.action === 'pull',
  })
  let failure: unknown
  for (const [index, endpoint] of endpoints.entries()) {
    if (!endpoint.verify && endpoint.url.startsWith('https:') && index + 1 < endpoints.length) {
      const silence = await whyNoTls(endpoint, options)
      if (silence !== undefined) {
        if (!endpoint.mirror) failure ??= explain(silence, new URL(endpoint.url).host)
        continue
      }
    }
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

/**
 * Why nothing answers by TLS where plain http will do as well; undefined when something does. Asked once: the patience
 * that a registry deserves is for one that is there.
 */
async function whyNoTls(endpoint: Endpoint, options: ConnectOptions): Promise<unknown> {
  await using transport = createTransport(endpoint, options.env)
  try {
    const response = await transport.send({ method: 'GET', url: `${endpoint.url}/v2/`, signal: options.signal })
    await response.discard()
    return undefined
  } catch (error) {
    if (isUnreachable(error)) return error
    throw explain(error, new URL(endpoint.url).host)
  }
}
