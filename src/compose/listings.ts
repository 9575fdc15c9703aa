import { TcomposeError } from '../base/errors.ts'
import { serviceHash } from './hash.ts'
import type { Project, Service, Variable } from './types.ts'

/** Names that `config --services`, `--volumes`, `--networks`, `--models` print, sorted. */
export function listNames(project: Project, kind: 'services' | 'volumes' | 'networks' | 'models'): readonly string[] {
  return Object.keys(project[kind]).sort()
}

/** `config --images`: one per service, built ones by the name they get. */
export function listImages(project: Project, separator: '-' | '_' = '-'): readonly string[] {
  return Object.entries(project.services)
    .filter(([, service]) => service.provider === undefined)
    .map(([name, service]) => service.image ?? `${project.name}${separator}${name}`)
}

/** `config --profiles`: all that the file mentions, sorted. */
export function listProfiles(project: Project): readonly string[] {
  const services = [...Object.values(project.services), ...Object.values(project.disabled_services)]
  return [...new Set(services.flatMap((service) => service.profiles ?? []))].sort()
}

/** `config --environment`: `KEY=VALUE` of interpolation, sorted. */
export function listEnvironment(project: Project): readonly string[] {
  return Object.entries(project.environment)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
}

/**
 * `config --hash`: `NAME HASH` per service, of the ones listed with commas or of all for `*`.
 * @throws TcomposeError NOT_FOUND
 */
export function listHashes(project: Project, wanted: string): readonly string[] {
  const names = wanted === '*' ? Object.keys(project.services).sort() : wanted.split(',').filter((name) => name !== '')
  return names.map((name) => {
    if (!Object.hasOwn(project.services, name)) throw new TcomposeError('NOT_FOUND', `no such service: ${name}`)
    return `${name} ${serviceHash(project, name)}`
  })
}

/** `config --variables` as a table of columns. */
export function listVariables(variables: readonly Variable[]): readonly (readonly [string, string, string, string])[] {
  return [
    ['NAME', 'REQUIRED', 'DEFAULT VALUE', 'ALTERNATE VALUE'],
    ...variables.map((one) => [one.name, String(one.required), one.default, one.alternate] as const),
  ]
}

/**
 * `config --resolve-image-digests`: every image with the digest it has now.
 * @param resolve gives `name@sha256:…` for a reference
 * @returns the project with pinned images
 */
export async function pinImages(project: Project, resolve: (reference: string) => Promise<string>): Promise<Project> {
  const pinned = await Promise.all(
    Object.entries(project.services).map(async ([name, service]): Promise<readonly [string, Service]> => {
      if (!service.image || service.image.includes('@')) return [name, service]
      return [name, { ...service, image: await resolve(service.image) }]
    }),
  )
  return { ...project, services: Object.fromEntries(pinned) }
}

/** `config --lock-image-digests`: an override file that holds the pinned images and nothing else. */
export async function lockImages(project: Project, resolve: (reference: string) => Promise<string>): Promise<object> {
  const pinned = await pinImages(project, resolve)
  const services = Object.entries(pinned.services).flatMap(([name, { image }]) =>
    image === undefined ? [] : [[name, { image }] as const],
  )
  return { services: Object.fromEntries(services) }
}
