import { TcomposeError } from '../../base/errors.ts'
import { familiarName, familiarReference, type Reference } from '../../base/reference.ts'
import type { RegistryResponse } from './transport.ts'

interface Failure {
  readonly reference: Reference
  readonly action: 'pull' | 'push'
  /** What was asked for: `manifest`, `blob sha256:…`. */
  readonly what: string
}

/** A registry's refusal in the words that Docker and Compose use for it. */
export async function registryError(response: RegistryResponse, failure: Failure): Promise<TcomposeError> {
  const { reference } = failure
  const name = familiarName(reference)
  const said = await messageIn(response)
  const login = reference.domain === 'docker.io' ? 'tcompose login' : `tcompose login ${reference.domain}`
  switch (response.status) {
    case 401:
    case 403:
      if (failure.action === 'push') {
        return new TcomposeError(
          'DENIED',
          `push access denied, repository ${name} does not exist or may require authorization: ${said}`,
          {
            hint: `log in with \`${login}\``,
          },
        )
      }
      return new TcomposeError(
        'DENIED',
        `pull access denied for ${name}, repository does not exist or may require 'docker login': ${said}`,
        { hint: `log in with \`${login}\`` },
      )
    case 404:
      if (failure.what === 'manifest') {
        return new TcomposeError('NOT_FOUND', `manifest for ${familiarReference(reference)} not found: ${said}`)
      }
      return new TcomposeError('NOT_FOUND', `${failure.what} not found in ${name}: ${said}`)
    case 429:
      return new TcomposeError('UNAVAILABLE', `toomanyrequests: ${said}`, {
        hint: `the registry limits how often it may be asked: wait, or log in with \`${login}\` for a higher limit`,
      })
    default:
      return new TcomposeError(
        'UNAVAILABLE',
        `registry ${new URL(response.url).host} answered ${response.status} to the ${failure.action} of ${name}: ${said}`,
      )
  }
}

/** `code: message` of the errors in a registry's answer. */
async function messageIn(response: RegistryResponse): Promise<string> {
  let text = ''
  try {
    text = (await response.bytes()).toString()
    const { errors } = JSON.parse(text) as { errors?: readonly { code?: string; message?: string }[] }
    const said = (errors ?? []).map(({ code, message }) => {
      const kind = (code ?? '').toLowerCase().replaceAll('_', ' ')
      return [kind, message ?? ''].filter((part, index, all) => part && all.indexOf(part) === index).join(': ')
    })
    if (said.length > 0) return said.join('; ')
  } catch {
    // Proxies and load balancers answer with pages.
  }
  const line = text
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 200)
  return line || `status ${response.status}`
}
