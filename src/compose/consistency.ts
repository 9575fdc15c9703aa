import { TcomposeError } from '../base/errors.ts'
import { didYouMean } from './near.ts'
import type { Path } from './tree.ts'
import type { Project, Service } from './types.ts'

type Fail = (path: Path, message: string, hint?: string | undefined) => void

/** References between the parts of a project, and attributes that contradict each other. @returns every failure */
export function checkConsistency(project: Project, at: (path: Path) => string | undefined): readonly TcomposeError[] {
  const errors: TcomposeError[] = []
  const fail: Fail = (path, message, hint) => {
    errors.push(new TcomposeError('INVALID', `${message}: invalid compose project`, { at: at(path), hint }))
  }
  const names = new Map<string, string>()
  for (const name of Object.keys(project.services)) {
    const service = project.services[name] as Service
    const path = ['services', name]
    checkSource(name, service, path, project, fail)
    checkNetworks(name, service, path, project, fail)
    checkDependencies(name, service, path, project, fail)
    checkMounts(name, service, path, project, fail)
    checkLimits(name, service, path, fail)
    checkWatch(name, service, path, fail)
    checkHealth(name, service, path, fail)
    if (service.container_name) {
      const other = names.get(service.container_name)
      if (other !== undefined) {
        fail(
          [...path, 'container_name'],
          `services.${name}: container name ${JSON.stringify(service.container_name)} is already in use by service ${other}`,
        )
      }
      names.set(service.container_name, name)
      const scale = service.scale ?? service.deploy?.replicas ?? 1
      if (scale > 1) {
        fail(
          [...path, 'container_name'],
          `services.${name}: can't set container_name and scale=${scale} as container name must be unique`,
          'remove container_name',
        )
      }
    }
  }
  for (const [kind, objects] of [
    ['secret', project.secrets],
    ['config', project.configs],
  ] as const) {
    for (const [name, object] of Object.entries(objects)) {
      if (object.external || object.driver !== undefined) continue
      if (object.file === undefined && object.environment === undefined && object.content === undefined) {
        fail([`${kind}s`, name], `${kind} ${JSON.stringify(name)} must declare either \`file\` or \`environment\``)
      }
    }
  }
  const cycle = findCycle(project)
  if (cycle) {
    errors.push(
      new TcomposeError('INVALID', `dependency cycle detected: ${cycle.join(' -> ')}`, {
        at: at(['services', cycle[0] as string, 'depends_on']),
        hint: 'one of these services has to start without waiting for the next',
      }),
    )
  }
  return errors
}

function checkSource(name: string, service: Service, path: Path, project: Project, fail: Fail): void {
  const { build } = service
  if (!service.image && !build && !service.provider) {
    fail(
      path,
      `service ${JSON.stringify(name)} has neither an image nor a build context specified`,
      'give it an image: or a build:',
    )
  }
  if (!build) return
  if (build.dockerfile_inline && build.dockerfile) {
    fail(
      [...path, 'build'],
      `service ${JSON.stringify(name)} declares mutualy exclusive dockerfile and dockerfile_inline`,
      'keep one of the two',
    )
  }
  for (const [key, context] of Object.entries(build.additional_contexts ?? {})) {
    if (!context.startsWith('service:')) continue
    const target = context.slice('service:'.length)
    const other = find(project, target)
    if (!other)
      fail(
        [...path, 'build', 'additional_contexts', key],
        `service ${JSON.stringify(name)} declares unknown service ${JSON.stringify(target)} as additional contexts ${key}`,
        near(project, target),
      )
    else if (!other.build)
      fail(
        [...path, 'build', 'additional_contexts', key],
        `service ${JSON.stringify(name)} declares non-buildable service ${JSON.stringify(target)} as additional contexts ${key}`,
      )
  }
  if (build.platforms?.length && service.platform && !build.platforms.includes(service.platform)) {
    fail(
      [...path, 'platform'],
      `service.build.platforms MUST include service.platform ${JSON.stringify(service.platform)}`,
    )
  }
  for (const secret of build.secrets ?? []) {
    if (!Object.hasOwn(project.secrets, secret.source)) {
      fail(
        [...path, 'build', 'secrets'],
        `service ${JSON.stringify(name)} refers to undefined build secret ${secret.source}`,
        undefinedHint('secrets', secret.source, project.secrets),
      )
    }
  }
}

function checkNetworks(name: string, service: Service, path: Path, project: Project, fail: Fail): void {
  const networks = Object.keys(service.networks ?? {})
  if (service.network_mode && networks.length > 0) {
    fail(
      [...path, 'network_mode'],
      `service ${name} declares mutually exclusive \`network_mode\` and \`networks\``,
      'keep one of the two',
    )
  }
  for (const network of networks) {
    if (!Object.hasOwn(project.networks, network)) {
      fail(
        [...path, 'networks', network],
        `service ${JSON.stringify(name)} refers to undefined network ${network}`,
        undefinedHint('networks', network, project.networks),
      )
    }
  }
  const model = Object.keys(service.models ?? {}).find((one) => !Object.hasOwn(project.models, one))
  if (model !== undefined)
    fail([...path, 'models'], `service ${JSON.stringify(name)} refers to undefined model ${model}`)
  const mode = service.network_mode
  if (mode?.startsWith('service:')) {
    const target = mode.slice('service:'.length)
    if (!find(project, target) && !service.depends_on?.[target]) {
      fail(
        [...path, 'network_mode'],
        `service ${JSON.stringify(target)} not found for network_mode 'service:${target}'`,
        near(project, target),
      )
    }
  }
}

function checkDependencies(name: string, service: Service, path: Path, project: Project, fail: Fail): void {
  for (const [target, { required }] of Object.entries(service.depends_on ?? {})) {
    if (Object.hasOwn(project.services, target)) continue
    const disabled = Object.hasOwn(project.disabled_services, target) ? project.disabled_services[target] : undefined
    if (disabled && !required) continue
    fail(
      [...path, 'depends_on'],
      `service ${JSON.stringify(name)} depends on undefined service ${JSON.stringify(target)}`,
      disabled
        ? `it is there, but its profile is not enabled: --profile ${disabled.profiles?.[0] ?? ''}`
        : near(project, target),
    )
  }
}

function checkMounts(name: string, service: Service, path: Path, project: Project, fail: Fail): void {
  const targets = new Map<string, string>()
  const mount = (target: string, where: string): void => {
    const other = targets.get(target)
    if (other !== undefined)
      fail(
        [...path, where],
        `services.${name}.${where}: target ${target} already mounted as services.${name}.${other}`,
        'each mount needs a target of its own',
      )
    else targets.set(target, where)
  }
  service.volumes?.forEach((volume, index) => {
    if (volume.type === 'volume' && volume.source && !Object.hasOwn(project.volumes, volume.source)) {
      fail(
        [...path, 'volumes', index],
        `service ${JSON.stringify(name)} refers to undefined volume ${volume.source}`,
        undefinedHint('volumes', volume.source, project.volumes),
      )
    }
    mount(volume.target, `volumes[${index}]`)
  })
  service.tmpfs?.forEach((text, index) => {
    mount(text.split(':', 1)[0] ?? '', `tmpfs[${index}]`)
  })
  for (const kind of ['configs', 'secrets'] as const) {
    for (const ref of service[kind] ?? []) {
      if (!Object.hasOwn(project[kind], ref.source)) {
        fail(
          [...path, kind],
          `service ${JSON.stringify(name)} refers to undefined ${kind.slice(0, -1)} ${ref.source}`,
          undefinedHint(kind, ref.source, project[kind]),
        )
      }
    }
  }
}

function checkLimits(name: string, service: Service, path: Path, fail: Fail): void {
  const { deploy, scale } = service
  if (scale !== undefined && scale < 0)
    fail([...path, 'scale'], `services.${name}.scale: must be greater than or equal to 0`)
  if (deploy?.replicas !== undefined && deploy.replicas < 0)
    fail([...path, 'deploy', 'replicas'], `services.${name}.deploy.replicas: must be greater than or equal to 0`)
  if (scale !== undefined && deploy?.replicas !== undefined && scale !== deploy.replicas) {
    fail(
      [...path, 'scale'],
      `services.${name}: can't set distinct values on 'scale' and 'deploy.replicas'`,
      'keep one of the two',
    )
  }
  const limits = deploy?.resources?.limits
  const reservations = deploy?.resources?.reservations
  const pairs = [
    ['cpus', service.cpus, limits?.cpus, 'deploy.resources.limits.cpus'],
    ['mem_limit', service.mem_limit, limits?.memory, 'deploy.resources.limits.memory'],
    ['mem_reservation', service.mem_reservation, reservations?.memory, 'deploy.resources.reservations.memory'],
    ['pids_limit', service.pids_limit, limits?.pids, 'deploy.resources.limits.pids'],
  ] as const
  for (const [attribute, own, other, place] of pairs) {
    if (own !== undefined && own !== 0 && own !== '0' && other !== undefined && own !== other) {
      fail(
        [...path, attribute],
        `services.${name}: can't set distinct values on '${attribute}' and '${place}'`,
        'keep one of the two',
      )
    }
  }
}

function checkWatch(name: string, service: Service, path: Path, fail: Fail): void {
  service.develop?.watch?.forEach((rule, index) => {
    const where = [...path, 'develop', 'watch', index]
    if (rule.action !== 'rebuild' && rule.action !== 'restart' && !rule.target) {
      fail(
        where,
        `services.${name}.develop.watch: target is required for non-rebuild actions`,
        'target: the path in the container',
      )
    }
  })
}

function checkHealth(name: string, service: Service, path: Path, fail: Fail): void {
  const [kind] = service.healthcheck?.test ?? []
  if (kind === undefined || kind === 'CMD' || kind === 'CMD-SHELL' || kind === 'NONE') return
  fail(
    [...path, 'healthcheck', 'test'],
    `services.${name}.healthcheck.test must start either by "CMD", "CMD-SHELL" or "NONE"`,
    'a string instead of a list is run by the shell',
  )
}

function find(project: Project, name: string): Service | undefined {
  if (Object.hasOwn(project.services, name)) return project.services[name]
  return Object.hasOwn(project.disabled_services, name) ? project.disabled_services[name] : undefined
}

function near(project: Project, name: string): string | undefined {
  return didYouMean(name, [...Object.keys(project.services), ...Object.keys(project.disabled_services)])
}

function undefinedHint(kind: string, name: string, known: Readonly<Record<string, unknown>>): string {
  return didYouMean(name, Object.keys(known)) ?? `declare it at the top level: ${kind}: {${name}: {}}`
}

/** A cycle of `depends_on` among the enabled services, starting and ending with the same name. */
function findCycle(project: Project): readonly string[] | undefined {
  const done = new Set<string>()
  const trail: string[] = []
  const visit = (name: string): readonly string[] | undefined => {
    if (done.has(name)) return undefined
    const at = trail.indexOf(name)
    if (at >= 0) return [...trail.slice(at), name]
    trail.push(name)
    for (const next of Object.keys(project.services[name]?.depends_on ?? {}).sort()) {
      if (!Object.hasOwn(project.services, next)) continue
      const cycle = visit(next)
      if (cycle) return cycle
    }
    trail.pop()
    done.add(name)
    return undefined
  }
  for (const name of Object.keys(project.services).sort()) {
    const cycle = visit(name)
    if (cycle) return cycle
  }
  return undefined
}
