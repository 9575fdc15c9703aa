import { type Draft, isList, isMap, listOf, mapOf, mapValues, scalarText, type Tree, type TreeMap } from './tree.ts'

/**
 * Spells out what follows from the rest: the default network, names with the project in front, dependencies implied by
 * links and shared namespaces, build defaults.
 */
export function normalize(tree: TreeMap, name: string): TreeMap {
  const out: Draft = { ...tree, name }
  if (isMap(tree.services)) {
    const services = mapValues(tree.services, (service) => (isMap(service) ? normalizeService(service) : {}))
    out.services = services
    const usesDefault = Object.values(services).some((service) =>
      Object.hasOwn(mapOf(mapOf(service).networks), 'default'),
    )
    const networks = mapOf(tree.networks)
    if (usesDefault && !Object.hasOwn(networks, 'default')) out.networks = { ...networks, default: {} }
  }
  for (const kind of ['networks', 'volumes', 'configs', 'secrets'] as const) {
    if (!isMap(out[kind])) continue
    out[kind] = mapValues(out[kind], (value, key) => {
      const resource = mapOf(value)
      if (resource.name !== undefined && resource.name !== null) return resource
      return { ...resource, name: resource.external === true ? key : `${name}_${key}` }
    })
  }
  return out
}

function normalizeService(service: TreeMap): TreeMap {
  const out: Draft = { ...service }
  if (service.pull_policy === 'if_not_present') out.pull_policy = 'missing'
  const networks = mapOf(service.networks)
  if (Object.keys(networks).length === 0 && !service.network_mode && service.provider === undefined)
    out.networks = { default: null }
  if (isList(service.pre_start) && service.image !== undefined) {
    // an init container runs the service's image unless it names one
    const image = service.image as Tree
    out.pre_start = service.pre_start.map((hook) =>
      isMap(hook) && hook.image === undefined ? { ...hook, image } : hook,
    )
  }
  if (isMap(service.build)) {
    const build: Draft = { ...service.build }
    build.context ??= '.'
    if (build.dockerfile === undefined && build.dockerfile_inline === undefined) build.dockerfile = 'Dockerfile'
    out.build = build
  }
  const dependencies = impliedDependencies(service)
  if (Object.keys(dependencies).length > 0) out.depends_on = dependencies
  return out
}

function impliedDependencies(service: TreeMap): TreeMap {
  const out: Draft = { ...mapOf(service.depends_on) }
  const imply = (name: string, restart: boolean): void => {
    if (name !== '' && !Object.hasOwn(out, name))
      out[name] = { condition: 'service_started', ...(restart ? { restart } : {}), required: true }
  }
  for (const link of listOf(service.links)) imply(textBefore(link), true)
  for (const key of ['network_mode', 'ipc', 'pid', 'uts', 'cgroup'] as const) {
    const mode = service[key]
    if (typeof mode === 'string' && mode.startsWith('service:')) imply(mode.slice('service:'.length), true)
  }
  for (const from of listOf(service.volumes_from)) {
    if (!scalarText(from).startsWith('container:')) imply(textBefore(from), false)
  }
  return out
}

function textBefore(value: Tree): string {
  return scalarText(value).split(':', 1)[0] ?? ''
}
