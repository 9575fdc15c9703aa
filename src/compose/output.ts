import { stringify } from 'yaml'
import { descend, type PathTable } from './path-table.ts'
import { type Draft, isList, isMap, mapOf, mapValues, type Tree, type TreeMap } from './tree.ts'
import type { Project } from './types.ts'
import { ELEMENT_RULES } from './zeros.ts'

export interface FormatOptions {
  readonly format: 'yaml' | 'json'
  /** `$` is doubled, so that the output read again means the same; off with `--no-interpolate`. Default true. */
  readonly escapeDollars?: boolean
  /** Replaces image references, by service. */
  readonly images?: ReadonlyMap<string, string>
}

/** The project as `config` prints it. JSON has the fields that Compose's own has even when they are empty. */
export function formatProject(project: Project, options: FormatOptions): string {
  const tree = toTree(project, options)
  const text =
    options.format === 'json'
      ? JSON.stringify(jsonQuirks(withoutExtensions(tree)), null, 2)
      : stringify(tree, {
          lineWidth: 0,
          aliasDuplicateObjects: false,
          indent: 2,
          nullStr: 'null',
          version: '1.1',
        }).trimEnd()
  return options.escapeDollars === false ? text : text.replaceAll('$', () => '$$')
}

function toTree(project: Project, options: FormatOptions): TreeMap {
  const extensions: Draft = {}
  for (const [key, value] of Object.entries(project)) if (key.startsWith('x-')) extensions[key] = value as Tree
  const services = mapValues(project.services as unknown as TreeMap, (service, name) => {
    const image = options.images?.get(name)
    return sortKeys(image === undefined ? service : { ...mapOf(service), image })
  })
  const out: Draft = { name: project.name, services }
  for (const kind of ['networks', 'volumes', 'configs', 'secrets'] as const) {
    const map = project[kind] as unknown as TreeMap
    if (Object.keys(map).length > 0) out[kind] = mapValues(map, sortKeys)
  }
  if (options.format === 'yaml' && Object.keys(project.models).length > 0)
    out.models = sortKeys(project.models as unknown as Tree)
  return { ...out, ...extensions }
}

/** Ports, mounts and file references keep Compose's order, which scripts compare; everything else is sorted by name. */
const PLACES = [
  ['name', 'mode', 'host_ip', 'target', 'published', 'protocol', 'app_protocol'],
  ['type', 'source', 'target', 'read_only', 'consistency', 'bind', 'volume', 'tmpfs', 'image'],
]

function sortKeys(value: Tree): Tree {
  if (isList(value)) return value.map(sortKeys)
  if (!isMap(value)) return value
  const out: Draft = {}
  const places = placesOf(value)
  const byPlace = (a: string, b: string): number => {
    const difference = places.indexOf(a) - places.indexOf(b)
    return difference !== 0 ? difference : a < b ? -1 : 1
  }
  for (const key of Object.keys(value).sort(byPlace))
    if (value[key] !== undefined) out[key] = sortKeys(value[key] as Tree)
  return out
}

function placesOf(value: TreeMap): readonly string[] {
  if ('target' in value && 'protocol' in value) return PLACES[0] as readonly string[]
  return 'target' in value && 'type' in value ? (PLACES[1] as readonly string[]) : []
}

/** What Compose's JSON has though it is empty, and the capitals of its block I/O fields. */
function jsonQuirks(tree: TreeMap): TreeMap {
  return {
    ...tree,
    services: mapValues(mapOf(tree.services), (service) => jsonService(mapOf(service))),
    ...(isMap(tree.networks)
      ? { networks: mapValues(tree.networks, (network) => ({ ...mapOf(network), ipam: mapOf(mapOf(network).ipam) })) }
      : {}),
  }
}

function jsonService(service: TreeMap): TreeMap {
  const out: Draft = { ...service, command: service.command ?? null, entrypoint: service.entrypoint ?? null }
  if (isMap(service.deploy)) {
    out.deploy = {
      ...service.deploy,
      resources: service.deploy.resources ?? {},
      placement: service.deploy.placement ?? {},
    }
  }
  if (isMap(service.develop) && isList(service.develop.watch)) {
    out.develop = {
      ...service.develop,
      watch: service.develop.watch.map((rule) => ({
        ...mapOf(rule),
        exec: { command: null, ...mapOf(mapOf(rule).exec) },
      })),
    }
  }
  for (const kind of ['pre_start', 'post_start', 'pre_stop'] as const) {
    const hooks = service[kind]
    if (isList(hooks)) out[kind] = hooks.map((hook) => ({ command: null, ...mapOf(hook) }))
  }
  if (isMap(service.blkio_config)) {
    out.blkio_config = mapValues(service.blkio_config, (value) =>
      isList(value) ? value.map((one) => capitals(mapOf(one))) : value,
    )
  }
  return out
}

function capitals(map: TreeMap): TreeMap {
  return Object.fromEntries(
    Object.entries(map).map(([key, value]) => [`${key.charAt(0).toUpperCase()}${key.slice(1)}`, value]),
  )
}

/** Compose's JSON keeps `x-` attributes at the top level only; names that users give may start so anywhere. */
function withoutExtensions(tree: TreeMap): TreeMap {
  const visit = (value: Tree, table: PathTable<string> | undefined): Tree => {
    if (isList(value)) return value.map((one, index) => visit(one, descend(table, index)))
    if (!isMap(value) || table?.value === 'whole') return value
    const isNamedByUser = table?.next.has('*') ?? false
    const out: Draft = {}
    for (const key of Object.keys(value)) {
      if (isNamedByUser || !key.startsWith('x-')) out[key] = visit(value[key] as Tree, descend(table, key))
    }
    return out
  }
  return mapValues(tree, (value, key) => (key.startsWith('x-') ? value : visit(value, descend(ELEMENT_RULES, key))))
}
