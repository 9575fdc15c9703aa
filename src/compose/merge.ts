import { TcomposeError } from '../base/errors.ts'
import { descend, type PathTable, pathTable } from './path-table.ts'
import { canonicalBuild, dependsOnMap, namesToMap } from './short-forms.ts'
import {
  asList,
  type Draft,
  formatPath,
  isList,
  isMap,
  mapOf,
  type Path,
  scalarText,
  type Tree,
  type TreeMap,
} from './tree.ts'

type Merger = (base: Tree, over: Tree, path: Path, table: PathTable<Merger> | undefined) => Tree

/**
 * How an attribute of a later file joins that of an earlier one, where it is not the plain rule (maps merge, lists
 * append, scalars replace, null keeps).
 */
const RULES = pathTable<Merger>([
  ...[
    'networks.*.labels',
    'volumes.*.labels',
    ...[
      'annotations',
      'deploy.labels',
      'dns',
      'dns_opt',
      'dns_search',
      'env_file',
      'environment',
      'label_file',
      'labels',
      'sysctls',
      'tmpfs',
    ].map((name) => `services.*.${name}`),
    ...['additional_contexts', 'args', 'labels'].map((name) => `services.*.build.${name}`),
    'services.*.volumes.*.volume.labels',
  ].map((pattern) => [pattern, appendAsList] as const),
  ['services.*.command', replace],
  ['services.*.entrypoint', replace],
  ['services.*.healthcheck.test', replace],
  ['services.*.ulimits.*', mergeUlimit],
  ['services.*.extra_hosts', mergeHosts],
  ['services.*.build.extra_hosts', mergeHosts],
  ['services.*.build', (base, over, path, table) => mergeMaps(canonicalBuild(base), canonicalBuild(over), path, table)],
  [
    'services.*.depends_on',
    (base, over, path, table) => mergeMaps(dependsOnMap(base), dependsOnMap(over), path, table),
  ],
  ['services.*.networks', (base, over, path, table) => mergeMaps(namesToMap(base), namesToMap(over), path, table)],
  ['services.*.models', (base, over, path, table) => mergeMaps(namesToMap(base), namesToMap(over), path, table)],
  ['services.*.logging', mergeLogging],
  ['networks.*.ipam.config', mergePools],
])

/** Puts `over` on top of `base`. @throws TcomposeError INVALID `cannot override PATH` */
export function merge(base: TreeMap, over: TreeMap, path: Path = []): TreeMap {
  let table: PathTable<Merger> | undefined = RULES
  for (const step of path) table = descend(table, step)
  return mergeTrees(base, over, path, table) as TreeMap
}

function mergeTrees(base: Tree, over: Tree, path: Path, table: PathTable<Merger> | undefined): Tree {
  if (table?.value) return table.value(base, over, path, table)
  if (over === null) return base
  if (isMap(base)) {
    if (!isMap(over)) throw mismatch(path, 'a mapping', over)
    return mergeMaps(base, over, path, table)
  }
  if (isList(base)) {
    if (!isList(over)) throw mismatch(path, 'a list', over)
    return [...base, ...over]
  }
  return over
}

function mismatch(path: Path, had: string, over: Tree): TcomposeError {
  const kind = isMap(over) ? 'a mapping' : isList(over) ? 'a list' : 'a single value'
  return new TcomposeError('INVALID', `cannot override ${formatPath(path)}`, {
    hint: `it is ${had} in the file before and ${kind} here; !override replaces it`,
  })
}

function mergeMaps(base: TreeMap, over: TreeMap, path: Path, table: PathTable<Merger> | undefined): TreeMap {
  const out: Draft = { ...base }
  for (const key of Object.keys(over)) {
    const value = over[key] as Tree
    const before = Object.hasOwn(out, key) ? out[key] : undefined
    out[key] = before === undefined ? value : mergeTrees(before, value, [...path, key], descend(table, key))
  }
  return out
}

function replace(_base: Tree, over: Tree): Tree {
  return over
}

/** Maps become `K=V` lists, so that both forms mix; what is given twice is sorted out by key afterwards. */
function appendAsList(base: Tree, over: Tree): Tree {
  return [...toEntries(base), ...toEntries(over)]
}

export function toEntries(value: Tree): readonly Tree[] {
  if (!isMap(value)) return asList(value)
  return Object.keys(value)
    .sort()
    .map((key) => {
      const one = value[key] as Tree
      return one === null ? key : `${key}=${scalarText(one)}`
    })
}

function mergeHosts(base: Tree, over: Tree): Tree {
  const out: Tree[] = []
  for (const one of [...hostEntries(base), ...hostEntries(over)]) if (!out.includes(one)) out.push(one)
  return out
}

export function hostEntries(value: Tree): readonly Tree[] {
  if (!isMap(value)) return asList(value)
  return Object.keys(value)
    .sort()
    .flatMap((host) => asList(value[host]).map((address) => `${host}=${scalarText(address)}`))
}

function mergeUlimit(base: Tree, over: Tree): Tree {
  return isMap(base) && isMap(over) ? { ...base, ...over } : over
}

/** Options join only when the driver stays. */
function mergeLogging(base: Tree, over: Tree, path: Path, table: PathTable<Merger> | undefined): Tree {
  if (over === null) return base
  const before = mapOf(base)
  const after = mapOf(over)
  if (before.driver === after.driver || before.driver === undefined || after.driver === undefined) {
    return mergeMaps(before, after, path, table)
  }
  return over
}

/** Address pools join by their subnet. */
function mergePools(base: Tree, over: Tree, path: Path): Tree {
  const out = [...asList(base)]
  for (const pool of asList(over)) {
    const index = out.findIndex((one) => mapOf(one).subnet === mapOf(pool).subnet)
    if (index < 0 || !isMap(pool)) out.push(pool)
    else out[index] = mergeMaps(mapOf(out[index]), pool, [...path, index], undefined)
  }
  return out
}
