import { descend, type PathTable, pathTable } from './path-table.ts'
import { parseVolume } from './short-volumes.ts'
import { type Draft, isList, isMap, scalarText, type Tree, type TreeMap } from './tree.ts'

/** The identity of a list's element; undefined for one that has none yet. */
type KeyOf = (value: Tree) => string | undefined

const RULES = pathTable<KeyOf>([
  ...[
    'networks.*.labels',
    'volumes.*.labels',
    ...[
      'annotations',
      'cap_add',
      'cap_drop',
      'deploy.labels',
      'dns',
      'dns_opt',
      'dns_search',
      'environment',
      'label_file',
      'labels',
      'links',
      'networks.*.aliases',
      'networks.*.link_local_ips',
      'profiles',
      'sysctls',
      'tmpfs',
    ].map((name) => `services.*.${name}`),
    ...['additional_contexts', 'args', 'labels', 'platforms', 'tags'].map((name) => `services.*.build.${name}`),
  ].map((pattern) => [pattern, entryKey] as const),
  ['services.*.expose', (value) => scalarText(value)],
  ['services.*.env_file', (value) => (isMap(value) ? text(value.path) : text(value))],
  ['services.*.configs', (value) => mountKey(value, '')],
  ['services.*.secrets', (value) => mountKey(value, '/run/secrets')],
  ['services.*.ports', portKey],
  ['services.*.volumes', volumeKey],
  ['services.*.devices', deviceKey],
])

/** Of elements with the same identity the last stays, in the place of the first. */
export function enforceUnique(tree: TreeMap): TreeMap {
  return visit(tree, RULES) as TreeMap
}

function visit(value: Tree, table: PathTable<KeyOf>): Tree {
  if (isMap(value)) {
    let out: Draft | undefined
    for (const key of Object.keys(value)) {
      const next = descend(table, key)
      if (!next) continue
      const before = value[key] as Tree
      const after = visit(before, next)
      if (after !== before) {
        out ??= { ...value }
        out[key] = after
      }
    }
    return out ?? value
  }
  if (isList(value) && table.value) return unique(value, table.value)
  return value
}

function unique(list: readonly Tree[], keyOf: KeyOf): readonly Tree[] {
  if (list.length < 2) return list
  const places = new Map<string, number>()
  const out: Tree[] = []
  for (const value of list) {
    const key = keyOf(value)
    const place = key === undefined ? undefined : places.get(key)
    if (place !== undefined) {
      out[place] = value
      continue
    }
    if (key !== undefined) places.set(key, out.length)
    out.push(value)
  }
  return out.length === list.length ? list : out
}

function text(value: Tree | undefined): string | undefined {
  return value === undefined || value === null ? undefined : scalarText(value)
}

/** `K` of `K=V`, or the whole. */
function entryKey(value: Tree): string | undefined {
  if (isMap(value) || isList(value)) return undefined
  const whole = scalarText(value)
  const at = whole.indexOf('=')
  return at < 0 ? whole : whole.slice(0, at)
}

function mountKey(value: Tree, folder: string): string | undefined {
  if (isMap(value))
    return text(value.target) ?? (value.source === undefined ? undefined : `${folder}/${text(value.source)}`)
  return typeof value === 'string' ? `${folder}/${value}` : undefined
}

function portKey(value: Tree): string | undefined {
  if (!isMap(value)) return text(value)
  return `${text(value.host_ip) ?? '0.0.0.0'}:${text(value.published) ?? ''}:${text(value.target) ?? ''}/${text(value.protocol) ?? 'tcp'}`
}

function volumeKey(value: Tree): string | undefined {
  if (isMap(value)) return text(value.target)
  if (typeof value !== 'string') return undefined
  const parsed = parseVolume(value)
  return parsed.error === undefined ? parsed.target : undefined
}

function deviceKey(value: Tree): string | undefined {
  if (isMap(value)) return text(value.target)
  if (typeof value !== 'string') return undefined
  const [source, target = source] = value.split(':')
  return target
}
