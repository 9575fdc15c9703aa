import { isAbsolute, join } from 'node:path'
import { TcomposeError } from '../base/errors.ts'
import { parseSizeBytes } from '../base/size.ts'
import type { Project, Service } from '../compose/types.ts'
import type { BuildContext, BuildRequest } from '../engine/build/types.ts'
import { toUlimits } from './container-resources.ts'
import { toExtraHosts } from './container-spec.ts'
import { COMPOSE_VERSION, LABEL } from './labels.ts'
import { imageName } from './names.ts'

export interface BuildOverrides {
  /** `--build-arg`; a name alone takes the environment's value. */
  readonly args?: Readonly<Record<string, string>>
  readonly noCache?: boolean
  readonly pull?: boolean
  readonly ssh?: readonly string[]
  readonly provenance?: string | undefined
  readonly sbom?: string | undefined
  readonly check?: boolean
}

/** Services whose images a build starts from (`additional_contexts: {base: service:x}`). */
export function buildDependencies(service: Service): readonly string[] {
  const contexts = Object.values(service.build?.additional_contexts ?? {})
  return contexts.flatMap((text) => (text.startsWith('service:') ? [text.slice('service:'.length)] : []))
}

/** A service's `build` section in the builder's words. */
export function toBuildRequest(
  project: Project,
  name: string,
  service: Service,
  overrides: BuildOverrides = {},
): BuildRequest {
  const { build } = service
  if (!build) throw new TcomposeError('INVALID', `service ${name} has no build section`)
  const reference = imageName(project, name, service)
  const platforms = build.platforms ?? []
  const contexts: Record<string, BuildContext> = {}
  for (const [key, text] of Object.entries(build.additional_contexts ?? {})) {
    contexts[key] = text.startsWith('service:')
      ? serviceContext(project, name, text.slice('service:'.length))
      : toContext(text)
  }
  const attestations: Record<string, string> = {}
  const provenance = overrides.provenance ?? (build.provenance === undefined ? undefined : String(build.provenance))
  const sbom = overrides.sbom ?? (build.sbom === undefined ? undefined : String(build.sbom))
  if (provenance !== undefined && provenance !== 'false') attestations.provenance = provenance
  if (sbom !== undefined && sbom !== 'false') attestations.sbom = sbom
  return {
    context: toContext(build.context ?? project.working_dir),
    dockerfile: build.dockerfile,
    dockerfileInline: build.dockerfile_inline,
    target: build.target,
    args: { ...withoutNulls(build.args), ...overrides.args },
    labels: {
      ...withoutNulls(build.labels),
      [LABEL.project]: project.name,
      [LABEL.service]: name,
      [LABEL.version]: COMPOSE_VERSION,
      [LABEL.imageBuilder]: 'classic',
    },
    tags: [reference, ...(build.tags ?? [])],
    contexts,
    ...(platforms.length > 0 ? { platforms } : service.platform ? { platforms: [service.platform] } : {}),
    secrets: (build.secrets ?? []).map((ref) => toSecret(project, name, ref)),
    ssh: [...sshKeys(build.ssh), ...(overrides.ssh ?? [])],
    noCache: overrides.noCache ?? build.no_cache ?? false,
    noCacheFilter: build.no_cache_filter ?? [],
    pull: overrides.pull ?? build.pull ?? false,
    network: build.network,
    shmSizeBytes: build.shm_size === undefined ? undefined : toBytes(build.shm_size),
    ulimits: toUlimits(build.ulimits),
    extraHosts: toExtraHosts(build.extra_hosts),
    entitlements: build.entitlements ?? [],
    privileged: build.privileged ?? false,
    cacheFrom: build.cache_from ?? [],
    cacheTo: build.cache_to ?? [],
    attestations,
    check: overrides.check ?? false,
  }
}

function serviceContext(project: Project, name: string, other: string): BuildContext {
  const service = project.services[other] ?? project.disabled_services[other]
  if (!service) throw new TcomposeError('INVALID', `build of service ${name} refers to undefined service ${other}`)
  return { kind: 'image', reference: imageName(project, other, service) }
}

/** What kind of context a text means, by its form. */
export function toContext(text: string): BuildContext {
  if (text.startsWith('docker-image://')) return { kind: 'image', reference: text.slice('docker-image://'.length) }
  if (text.startsWith('oci-layout://')) {
    const [path = '', reference] = text.slice('oci-layout://'.length).split('@')
    return { kind: 'oci-layout', path, ...(reference === undefined ? {} : { reference }) }
  }
  if (/^(git@|git:\/\/|ssh:\/\/|github\.com\/)/.test(text) || /^https?:\/\/.*\.git(#.*)?$/.test(text))
    return { kind: 'git', url: text }
  if (/^https?:\/\//.test(text)) return { kind: 'url', url: text }
  return { kind: 'directory', path: text }
}

function toSecret(
  project: Project,
  name: string,
  ref: { readonly source?: string | undefined; readonly target?: string | undefined },
): NonNullable<BuildRequest['secrets']>[number] {
  const source = ref.source ?? ''
  const definition = project.secrets?.[source]
  if (!definition) throw new TcomposeError('INVALID', `build of service ${name} refers to undefined secret ${source}`)
  const id = ref.target ? ref.target.replace(/^\/run\/secrets\//, '') : source
  if (definition.file) {
    return { id, file: isAbsolute(definition.file) ? definition.file : join(project.working_dir, definition.file) }
  }
  if (definition.environment) {
    const value = project.environment?.[definition.environment]
    if (value === undefined) {
      throw new TcomposeError(
        'INVALID',
        `environment variable ${JSON.stringify(definition.environment)} required by secret ${JSON.stringify(source)} is not set`,
      )
    }
    return { id, data: value }
  }
  throw new TcomposeError('UNSUPPORTED', `unsupported external secret ${source}`)
}

function withoutNulls(
  map: Readonly<Record<string, string | number | boolean | null>> | undefined,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(map ?? {}).flatMap(([key, value]) => (value === null ? [] : [[key, String(value)]])),
  )
}

function sshKeys(ssh: NonNullable<Service['build']>['ssh']): readonly string[] {
  if (!ssh) return []
  if (Array.isArray(ssh)) return ssh as readonly string[]
  return Object.entries(ssh).map(([id, path]) => (path ? `${id}=${path}` : id))
}

function toBytes(size: string | number): number {
  return typeof size === 'number' ? size : /^\d+$/.test(size) ? Number(size) : parseSizeBytes(size)
}
