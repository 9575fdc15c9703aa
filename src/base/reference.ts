import { type Digest, isDigest } from './digest.ts'
import { TcomposeError } from './errors.ts'

/** An image reference in its full form: `docker.io/library/nginx:1.22`. At least one of tag and digest may be absent. */
export interface Reference {
  /** Registry host with port: `docker.io`, `localhost:5000`. */
  readonly domain: string
  /** Repository path below the domain: `library/nginx`. */
  readonly path: string
  readonly tag: string | undefined
  readonly digest: Digest | undefined
}

const DOMAIN =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?$/
const PATH = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/
const TAG = /^\w[\w.-]{0,127}$/

/**
 * Reads a reference by Docker's rules: no domain means `docker.io`, one path segment there means `library/…`.
 * No tag is added; see `withDefaultTag`.
 * @throws TcomposeError INVALID
 */
export function parseReference(text: string): Reference {
  const bad = (why: string): TcomposeError =>
    new TcomposeError('INVALID', `invalid reference format${why && `: ${why}`}: ${JSON.stringify(text)}`, {
      hint: 'an image is written [registry[:port]/]name[:tag][@sha256:…], with the name in lower case',
    })
  let rest = text
  let digest: Digest | undefined
  const at = rest.indexOf('@')
  if (at >= 0) {
    const part = rest.slice(at + 1)
    if (!isDigest(part)) throw bad('bad digest')
    digest = part
    rest = rest.slice(0, at)
  }
  let tag: string | undefined
  const colon = rest.lastIndexOf(':')
  if (colon > rest.lastIndexOf('/')) {
    tag = rest.slice(colon + 1)
    rest = rest.slice(0, colon)
    if (!TAG.test(tag)) throw bad('bad tag')
  }
  const slash = rest.indexOf('/')
  const first = rest.slice(0, Math.max(slash, 0))
  const hasDomain = slash > 0 && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase())
  let domain = hasDomain ? first : 'docker.io'
  let path = hasDomain ? rest.slice(slash + 1) : rest
  if (domain === 'index.docker.io') domain = 'docker.io'
  if (!DOMAIN.test(domain)) throw bad('bad registry name')
  if (!PATH.test(path)) throw bad(path !== path.toLowerCase() ? 'repository name must be lowercase' : '')
  if (/^[0-9a-f]{64}$/.test(path)) throw bad('cannot specify 64-byte hexadecimal strings')
  if (domain === 'docker.io' && !path.includes('/')) path = `library/${path}`
  return { domain, path, tag, digest }
}

export function withDefaultTag(ref: Reference): Reference {
  return ref.tag === undefined && ref.digest === undefined ? { ...ref, tag: 'latest' } : ref
}

/** `docker.io/library/nginx:1.22@sha256:…` */
export function formatReference(ref: Reference): string {
  return `${ref.domain}/${ref.path}${ref.tag === undefined ? '' : `:${ref.tag}`}${ref.digest === undefined ? '' : `@${ref.digest}`}`
}

/** As people write it: `nginx:1.22` for `docker.io/library/nginx:1.22`. */
export function familiarReference(ref: Reference): string {
  return formatReference(ref).replace(/^docker\.io\/(library\/)?/, '')
}

/** The repository without tag and digest, as people write it. */
export function familiarName(ref: Reference): string {
  return familiarReference({ ...ref, tag: undefined, digest: undefined })
}
