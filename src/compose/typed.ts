import { formatDurationNs, parseDurationNs } from '../base/duration.ts'
import { TcomposeError } from '../base/errors.ts'
import { parseSizeBytes } from '../base/size.ts'
import { CASTS, type CastKind, castTo } from './casts.ts'
import { canonicalHosts } from './hosts.ts'
import { descend, type PathTable, pathTable } from './path-table.ts'
import {
  asList,
  type Draft,
  formatPath,
  isList,
  isMap,
  type Path,
  scalarText,
  type Tree,
  type TreeMap,
} from './tree.ts'
import type { Warning } from './types.ts'
import { splitWords } from './words.ts'

export interface TypedOptions {
  readonly at: (path: Path) => string | undefined
  readonly warn: (warning: Warning) => void
  /** Leave what cannot be read as it is: it holds variables that were not filled in. */
  readonly lenient?: boolean
}

type Kind = (value: Tree) => Tree

const hook = (name: string): readonly (readonly [string, Kind])[] => [
  [`services.*.${name}.*.command`, words],
  [`services.*.${name}.*.environment`, environment],
]

const KINDS = pathTable<Kind>([
  ...[
    'services.*.mem_limit',
    'services.*.mem_reservation',
    'services.*.memswap_limit',
    'services.*.shm_size',
    'services.*.build.shm_size',
    'services.*.deploy.resources.limits.memory',
    'services.*.deploy.resources.reservations.memory',
    'services.*.volumes.*.tmpfs.size',
    ...['device_read_bps', 'device_read_iops', 'device_write_bps', 'device_write_iops'].map(
      (name) => `services.*.blkio_config.${name}.*.rate`,
    ),
  ].map((pattern) => [pattern, bytes] as const),
  ...[
    'stop_grace_period',
    ...['interval', 'timeout', 'start_period', 'start_interval'].map((name) => `healthcheck.${name}`),
    ...['update_config', 'rollback_config'].flatMap((name) => [`deploy.${name}.delay`, `deploy.${name}.monitor`]),
    'deploy.restart_policy.delay',
    'deploy.restart_policy.window',
  ].map((name) => [`services.*.${name}`, duration] as const),
  ...[
    'services.*.annotations',
    'services.*.labels',
    'services.*.deploy.labels',
    'services.*.build.labels',
    'services.*.sysctls',
    'services.*.storage_opt',
    'services.*.logging.options',
    'services.*.networks.*.driver_opts',
    'services.*.volumes.*.volume.labels',
    'services.*.gpus.*.options',
    'services.*.deploy.resources.reservations.devices.*.options',
    ...['networks', 'volumes', 'secrets', 'configs'].flatMap((kind) => [`${kind}.*.labels`, `${kind}.*.driver_opts`]),
    'networks.*.ipam.options',
    'networks.*.ipam.config.*.aux_addresses',
  ].map((pattern) => [pattern, labels] as const),
  ['services.*.environment', environment],
  ['services.*.build.args', environment],
  ['services.*.command', words],
  ['services.*.entrypoint', words],
  ...hook('pre_start'),
  ...hook('post_start'),
  ...hook('pre_stop'),
  ['services.*.develop.watch.*.exec.command', words],
  ['services.*.develop.watch.*.exec.environment', environment],
  ...[
    'develop.watch.*.ignore',
    'develop.watch.*.include',
    'build.no_cache_filter',
    'dns',
    'dns_search',
    'dns_opt',
    'tmpfs',
    'label_file',
    'expose',
    'group_add',
  ].map((name) => [`services.*.${name}`, textList] as const),
  ['services.*.extra_hosts', (value) => canonicalHosts(value)],
  ['services.*.build.extra_hosts', (value) => canonicalHosts(value)],
  ['services.*.healthcheck.test', (value) => (typeof value === 'string' ? ['CMD-SHELL', value] : value)],
  ...['configs', 'secrets', 'build.secrets'].map((name) => [`services.*.${name}.*.mode`, fileMode] as const),
  ['services.*.gpus.*.count', deviceCount],
  ['services.*.deploy.resources.reservations.devices.*.count', deviceCount],
  ['services.*.mem_swappiness', (value) => scalarText(value)],
  ['services.*.build.provenance', (value) => scalarText(value)],
  ['services.*.build.sbom', (value) => scalarText(value)],
  ['services.*.provider.options.*', textList],
])

/**
 * Gives every attribute the type the model promises: sizes, durations, maps of strings, words of commands, numbers.
 * @returns the model and every failure, each with its place
 */
export function applyTypes(
  tree: TreeMap,
  options: TypedOptions,
): { readonly tree: TreeMap; readonly errors: readonly TcomposeError[] } {
  const errors: TcomposeError[] = []
  const convert = (value: Tree, path: Path, kind: Kind | undefined, cast: CastKind | undefined): Tree => {
    try {
      if (kind && value !== null) return kind(value)
      if (cast !== undefined && typeof value === 'string') return castTo(cast, value, path, options)
    } catch (error) {
      if (!(error instanceof TcomposeError)) throw error
      if (!options.lenient) {
        errors.push(
          new TcomposeError('INVALID', `${formatPath(path)}: ${error.message}`, {
            at: options.at(path),
            hint: error.hint,
          }),
        )
      }
    }
    return value
  }
  // One path for the whole walk: most files are right, and then nobody needs a copy of it.
  const path: (string | number)[] = []
  const visit = (value: Tree, kinds: PathTable<Kind> | undefined, casts: PathTable<CastKind> | undefined): Tree => {
    if (kinds?.value || casts?.value) {
      const now = convert(value, path, kinds?.value, casts?.value)
      if (now !== value || !isMap(now)) return now
    }
    const below = (one: Tree, step: string | number): Tree => {
      const nextKinds = descend(kinds, step)
      const nextCasts = descend(casts, step)
      if (!nextKinds && !nextCasts) return one
      path.push(step)
      const now = visit(one, nextKinds, nextCasts)
      path.pop()
      return now
    }
    if (isList(value)) return value.map(below)
    if (!isMap(value)) return value
    let out: Draft | undefined
    for (const key of Object.keys(value)) {
      const before = value[key] as Tree
      const after = below(before, key)
      if (after !== before) {
        out ??= { ...value }
        out[key] = after
      }
    }
    return out ?? value
  }
  return { tree: visit(tree, KINDS, CASTS) as TreeMap, errors }
}

function bytes(value: Tree): Tree {
  const text = scalarText(value).trim()
  return /^-?\d+$/.test(text) ? text.replace(/^0+(?=\d)/, '') : String(parseSizeBytes(text))
}

function duration(value: Tree): Tree {
  return formatDurationNs(parseDurationNs(scalarText(value)))
}

function labels(value: Tree): Tree {
  return toMap(value, () => '')
}

function environment(value: Tree): Tree {
  return toMap(value, () => null)
}

function toMap(value: Tree, absent: () => Tree): Tree {
  const out: Draft = {}
  if (isMap(value)) {
    for (const key of Object.keys(value)) {
      const one = value[key] as Tree
      out[key] = one === null ? absent() : scalarText(one)
    }
    return out
  }
  for (const entry of asList(value)) {
    const text = scalarText(entry)
    const at = text.indexOf('=')
    const key = at < 0 ? text : text.slice(0, at)
    if (key.endsWith(' ')) {
      throw new TcomposeError('INVALID', `environment variable ${key} is declared with a trailing space`, {
        hint: 'remove the space before =',
      })
    }
    if (key !== '__proto__') out[key] = at < 0 ? absent() : text.slice(at + 1)
  }
  return out
}

function words(value: Tree): Tree {
  return typeof value === 'string' ? splitWords(value) : isList(value) ? value.map(scalarText) : value
}

function textList(value: Tree): Tree {
  return asList(value).map(scalarText)
}

/** `0440`, whether the file has a number or digits. */
function fileMode(value: Tree): Tree {
  const mode = typeof value === 'number' ? value : Number.parseInt(scalarText(value).replace(/^0o?/, '') || '0', 8)
  if (!Number.isInteger(mode) || mode < 0)
    throw new TcomposeError('INVALID', `invalid file mode ${scalarText(value)}`, { hint: 'write it as "0440"' })
  return `0${mode.toString(8)}`
}

function deviceCount(value: Tree): Tree {
  if (typeof value !== 'string') return value
  if (value === 'all') return -1
  if (/^-?\d+$/.test(value)) return Number(value)
  throw new TcomposeError(
    'INVALID',
    `invalid value ${JSON.stringify(value)}, the only value allowed is 'all' or a number`,
  )
}
