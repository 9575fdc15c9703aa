import { stringify } from 'yaml'
import { orderKeys, sortKeys } from './key-order.ts'
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
    return image === undefined ? service : { ...mapOf(service), image }
  })
  const out: Draft = { services }
  for (const kind of ['networks', 'volumes', 'secrets', 'configs'] as const) {
    const map = project[kind] as unknown as TreeMap
    if (Object.keys(map).length > 0) out[kind] = map
  }
  if (options.format === 'yaml' && Object.keys(project.models).length > 0)
    out.models = project.models as unknown as Tree
  // What was not filled in is printed as a map without a model behind it, by name throughout.
  if (options.escapeDollars === false) return sortKeys({ name: project.name, ...out, ...extensions })
  const ordered = orderKeys(out)
  const head: Draft = { name: project.name }
  for (const kind of Object.keys(out)) head[kind] = ordered[kind] as Tree
  return { ...head, ...extensions }
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
