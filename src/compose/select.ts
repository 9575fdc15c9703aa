import { TcomposeError } from '../base/errors.ts'
import { didYouMean } from './near.ts'
import type { Project, Service } from './types.ts'

type Services = Readonly<Record<string, Service>>

/** Lets only the services stay whose profiles are enabled (`*`: all); the others become disabled ones. */
export function enableProfiles(project: Project, profiles: readonly string[]): Project {
  const all = allServices(project)
  const isEnabled = (service: Service): boolean => {
    const own = service.profiles ?? []
    return own.length === 0 || profiles.includes('*') || own.some((one) => profiles.includes(one))
  }
  return { ...split(project, all, (name) => isEnabled(all[name] as Service)), profiles }
}

/** Naming a service enables its profiles. @throws TcomposeError NOT_FOUND `no such service: NAME` */
export function enableServices(project: Project, names: readonly string[]): Project {
  const profiles = [...project.profiles]
  for (const name of names) {
    if (Object.hasOwn(project.services, name)) continue
    const service = Object.hasOwn(project.disabled_services, name) ? project.disabled_services[name] : undefined
    if (!service) throw noSuchService(project, name)
    for (const profile of service.profiles ?? []) if (!profiles.includes(profile)) profiles.push(profile)
  }
  return profiles.length === project.profiles.length ? project : enableProfiles(project, profiles)
}

/**
 * Lets only the named services stay, with what they depend on unless `noDeps`.
 * @throws TcomposeError NOT_FOUND `no such service: NAME`
 */
export function selectServices(project: Project, names: readonly string[], noDeps = false): Project {
  const chosen = new Set<string>()
  const visit = (name: string): void => {
    if (chosen.has(name)) return
    const service = Object.hasOwn(project.services, name) ? project.services[name] : undefined
    if (!service) throw noSuchService(project, name)
    chosen.add(name)
    if (noDeps) return
    for (const [dependency, { required }] of Object.entries(service.depends_on ?? {})) {
      if (Object.hasOwn(project.services, dependency) || required) visit(dependency)
    }
  }
  for (const name of names) visit(name)
  const selected = split(project, allServices(project), (name) => chosen.has(name))
  if (!noDeps) return selected
  const services: Record<string, Service> = {}
  for (const [name, service] of Object.entries(selected.services)) {
    const { depends_on, ...rest } = service
    const kept = Object.entries(depends_on ?? {}).filter(([dependency]) => chosen.has(dependency))
    services[name] = kept.length > 0 ? { ...rest, depends_on: Object.fromEntries(kept) } : rest
  }
  return { ...selected, services }
}

function noSuchService(project: Project, name: string): TcomposeError {
  return new TcomposeError('NOT_FOUND', `no such service: ${name}`, {
    hint: didYouMean(name, Object.keys(allServices(project))) ?? 'tcompose config --services lists them',
  })
}

function allServices(project: Project): Services {
  return { ...project.services, ...project.disabled_services }
}

function split(project: Project, all: Services, isKept: (name: string) => boolean): Project {
  const services: Record<string, Service> = {}
  const disabled: Record<string, Service> = {}
  for (const name of Object.keys(all).sort()) (isKept(name) ? services : disabled)[name] = all[name] as Service
  return { ...project, services, disabled_services: disabled }
}

/** Drops networks, volumes, configs, secrets and models that no service left uses. */
export function pruneResources(project: Project): Project {
  const networks = new Set<string>()
  const volumes = new Set<string>()
  const configs = new Set<string>()
  const secrets = new Set<string>()
  const models = new Set<string>()
  for (const service of Object.values(project.services)) {
    for (const name of Object.keys(service.networks ?? {})) networks.add(name)
    for (const volume of service.volumes ?? [])
      if (volume.type === 'volume' && volume.source) volumes.add(volume.source)
    for (const one of service.configs ?? []) configs.add(one.source)
    for (const one of [...(service.secrets ?? []), ...(service.build?.secrets ?? [])]) secrets.add(one.source)
    for (const name of Object.keys(service.models ?? {})) models.add(name)
  }
  return {
    ...project,
    networks: keep(project.networks, networks),
    volumes: keep(project.volumes, volumes),
    configs: keep(project.configs, configs),
    secrets: keep(project.secrets, secrets),
    models: keep(project.models, models),
  }
}

function keep<T>(map: Readonly<Record<string, T>>, names: ReadonlySet<string>): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(map).filter(([name]) => names.has(name)))
}
