import { TcomposeError } from '../base/errors.ts'
import { descend, type PathTable, pathTable } from './path-table.ts'
import type { FileObject, Project, Warning } from './types.ts'

/**
 * What becomes of an attribute. `effective`: it does what the specification says. `parsed`: it is understood, checked and
 * printed, and changes nothing here, for a reason. `refused`: using it is an error that says why.
 */
export type Support =
  | { readonly kind: 'effective' }
  | { readonly kind: 'parsed'; readonly reason: string /** Say so when it is used. */; readonly isWarned?: boolean }
  | {
      readonly kind: 'refused'
      readonly message: string /** Only for services that use it. */
      readonly isByUse?: boolean
    }

const effective: Support = { kind: 'effective' }
const parsed = (reason: string, isWarned = false): Support => ({ kind: 'parsed', reason, isWarned })
const refused = (message: string, isByUse = false): Support => ({ kind: 'refused', message, isByUse })

const SWARM = 'a swarm acts on it; Compose on one machine does not'
const WINDOWS = 'it is for Windows containers'
const BY_MOUNT = 'the Dockerfile says it: RUN --mount=type=secret,uid=…,gid=…,mode=…'
const NO_ATTESTATION = 'is not supported: images are made without attestations'
const BY_NAME = 'a name for objects of a swarm; here the containers get a file'
const NO_KEEPER = 'there is no swarm that keeps it: use file, environment or content'

const RUNTIMES: readonly string[] = ['runc', 'io.containerd.runc.v2']

/** An attribute that is not listed itself has the support of the nearest one above it. */
const SUPPORT = pathTable<Support>([
  ['version', parsed('obsolete; the loader warns about it')],
  ...['name', 'include', 'services', 'networks', 'volumes', 'configs', 'secrets'].map(
    (name) => [name, effective] as const,
  ),
  ['models', refused('models need a model runner, and there is none here')],
  ['services.*', effective],
  ['services.*.models', refused('models need a model runner, and there is none here')],
  ['services.*.credential_spec', refused(`credential_spec is not supported: ${WINDOWS}`)],
  [
    'services.*.use_api_socket',
    refused('use_api_socket is not supported yet: a container cannot be given the engine API'),
  ],
  [
    'services.*.storage_opt',
    refused('storage_opt is not supported: containers share one file system, which has no size for each'),
  ],
  ['services.*.cpu_count', parsed(WINDOWS, true)],
  ['services.*.cpu_percent', parsed(WINDOWS, true)],
  ['services.*.isolation', parsed(WINDOWS, true)],
  ['services.*.build.isolation', parsed(WINDOWS, true)],
  ['services.*.build.provenance', refused(`provenance ${NO_ATTESTATION}`, true)],
  ['services.*.build.sbom', refused(`sbom ${NO_ATTESTATION}`, true)],
  ...['uid', 'gid', 'mode'].map((name) => [`services.*.build.secrets.*.${name}`, parsed(BY_MOUNT, true)] as const),
  ['services.*.build.cache_from', parsed('the build says so: only the cache of this machine is used')],
  ['services.*.build.cache_to', parsed('the build says so: only the cache of this machine is used')],
  ['services.*.deploy.mode', parsed(SWARM)],
  ['services.*.deploy.endpoint_mode', parsed(SWARM)],
  ['services.*.deploy.labels', parsed(SWARM)],
  ['services.*.deploy.placement', parsed(SWARM)],
  ['services.*.deploy.restart_policy.delay', parsed(`${SWARM}; restarts wait longer each time`)],
  ['services.*.deploy.restart_policy.window', parsed(`${SWARM}; a run of ten seconds counts as a success`)],
  ['services.*.deploy.update_config', parsed(SWARM)],
  ['services.*.deploy.rollback_config', parsed(SWARM)],
  ['services.*.deploy.resources.reservations.cpus', parsed('a promise to a scheduler; there is none on one machine')],
  ['services.*.deploy.resources.reservations.generic_resources', parsed(SWARM)],
  ['services.*.ports.*.mode', parsed('host and ingress are the same on one machine')],
  ['services.*.ports.*.name', parsed('a name for people')],
  ['services.*.ports.*.app_protocol', parsed('a note for people and proxies')],
  ['services.*.pull_refresh_after', parsed('pull_policy: every_<duration> says it', true)],
  [
    'services.*.volumes.*.consistency',
    parsed('Docker Desktop acts on it; here host and container see one file system'),
  ],
  ['services.*.volumes.*.bind.selinux', parsed('files are relabelled by hosts with SELinux only')],
  ['networks.*.attachable', parsed('networks of one machine are open to other containers anyway')],
  ['networks.*.ipam.options', refused('IPAM options are not supported: the addresses are given out here')],
  ['secrets.*.name', parsed(BY_NAME)],
  ['configs.*.name', parsed(BY_NAME)],
  ['secrets.*.external', refused(`unsupported external secret: ${NO_KEEPER}`, true)],
  ['configs.*.external', refused(`unsupported external config: ${NO_KEEPER}`, true)],
  ['secrets.*.driver', refused(`secrets with a driver are not supported: ${NO_KEEPER}`)],
  ['secrets.*.driver_opts', refused(`secrets with a driver are not supported: ${NO_KEEPER}`)],
  ['secrets.*.template_driver', refused(`secrets with a template driver are not supported: ${NO_KEEPER}`)],
  ['configs.*.template_driver', refused(`configs with a template driver are not supported: ${NO_KEEPER}`)],
  ['secrets.*.labels', parsed('a label of a swarm object')],
  ['configs.*.labels', parsed('a label of a swarm object')],
])

/** @param pattern as in `services.*.ports.*.mode` */
export function supportOf(pattern: string): Support | undefined {
  let table: PathTable<Support> | undefined = SUPPORT
  let found: Support | undefined
  for (const step of pattern.split('.')) {
    table = descend(table, step)
    if (!table) break
    found = table.value ?? found
  }
  return found
}

/**
 * What the project asks for that has no effect here, and what it asks for that is not to be had.
 * Only services that are enabled count, and what they use.
 */
export function checkSupport(project: Project): {
  readonly warnings: readonly Warning[]
  readonly errors: readonly TcomposeError[]
} {
  const warnings: Warning[] = []
  const errors: TcomposeError[] = []
  const refuse = (message: string, hint?: string): void => {
    errors.push(new TcomposeError('UNSUPPORTED', message, { hint }))
  }
  const visit = (value: unknown, path: readonly string[], table: PathTable<Support> | undefined): void => {
    const support = table?.value
    if (path.length > 0 && support?.kind === 'refused' && !support.isByUse && isUsed(value)) {
      refuse(`${path.join('.')}: ${support.message}`)
      return
    }
    if (support?.kind === 'parsed' && support.isWarned)
      warnings.push({ message: `${path.join('.')} has no effect: ${support.reason}` })
    if (!table || table.next.size === 0 || typeof value !== 'object' || value === null) return
    for (const [key, one] of Object.entries(value)) visit(one, [...path, key], descend(table, key))
  }
  for (const kind of ['services', 'networks', 'configs', 'secrets', 'models'] as const)
    visit(project[kind], [kind], SUPPORT.next.get(kind))
  checkFiles(project, refuse, warnings)
  errors.push(...checkBuilds(project, Object.keys(project.services)))
  for (const [name, service] of Object.entries(project.services)) {
    const { runtime } = service
    if (runtime && !RUNTIMES.includes(runtime)) {
      refuse(`services.${name}.runtime: unknown or invalid runtime name: ${runtime}`, 'containers are run by runc')
    }
    for (const volume of service.volumes ?? []) {
      if (volume.type === 'cluster' || volume.type === 'npipe') {
        refuse(`services.${name}.volumes: type ${volume.type} is not supported`, 'use bind, volume, tmpfs or image')
      }
    }
  }
  return { warnings, errors }
}

/**
 * What the builds of some services ask for that is not to be had.
 * @param isAnswered names of attributes that the command line overrides
 */
export function checkBuilds(
  project: Project,
  names: readonly string[],
  isAnswered: (attribute: string) => boolean = () => false,
): readonly TcomposeError[] {
  return names.flatMap((name) => {
    const build = (project.services[name] ?? project.disabled_services[name])?.build
    const errors: TcomposeError[] = []
    const refuse = (attribute: string, message: string): void => {
      errors.push(new TcomposeError('UNSUPPORTED', `services.${name}.build.${attribute}: ${message}`))
    }
    for (const attribute of ['provenance', 'sbom'] as const) {
      const value = build?.[attribute]
      const isWanted = isUsed(value) && value !== 'false' && !/disabled=true/.test(String(value))
      if (isWanted && !isAnswered(attribute)) refuse(attribute, `${attribute} ${NO_ATTESTATION}`)
    }
    const platforms = build?.platforms ?? []
    if (platforms.length > 1)
      refuse('platforms', `building for several platforms at once is not supported: ${platforms.join(', ')}`)
    return errors
  })
}

function isUsed(value: unknown): boolean {
  if (value === undefined || value === null || value === false) return false
  return typeof value !== 'object' || Object.keys(value).length > 0
}

function checkFiles(project: Project, refuse: (message: string, hint?: string) => void, warnings: Warning[]): void {
  for (const [name, service] of Object.entries(project.services)) {
    for (const kind of ['config', 'secret'] as const) {
      const objects: Readonly<Record<string, FileObject>> = kind === 'config' ? project.configs : project.secrets
      for (const ref of (kind === 'config' ? service.configs : service.secrets) ?? []) {
        const object = objects[ref.source]
        if (object?.external) refuse(`unsupported external ${kind} ${ref.source}`, NO_KEEPER)
        const isOwned = ref.uid !== undefined || ref.gid !== undefined || ref.mode !== undefined
        if (object?.file !== undefined && isOwned) {
          warnings.push({
            message: `services.${name}: ${kind}s \`uid\`, \`gid\` and \`mode\` are not supported for ${ref.source}, they will be ignored: it is a file of the host`,
          })
        }
      }
    }
  }
}
