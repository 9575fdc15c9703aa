import { realpathSync } from 'node:fs'
import { isAbsolute, join, normalize } from 'node:path'
import { TcomposeError } from '../base/errors.ts'
import { descend, type PathTable, pathTable } from './path-table.ts'
import { type Draft, isList, isMap, mapOf, type Path, type Tree, type TreeMap } from './tree.ts'

export interface PathOptions {
  /** Directory that relative paths start from; itself relative for included and extended files. */
  readonly directory: string
  /** For `~`. */
  readonly home: string | undefined
  readonly at?: (path: Path) => string | undefined
}

type Resolve = (value: Tree, options: PathOptions, path: Path) => Tree

const RULES = pathTable<Resolve>([
  ['services.*.build.context', context],
  ['services.*.build.additional_contexts.*', context],
  ['services.*.env_file.*.path', plain],
  ['services.*.label_file.*', plain],
  ['services.*.extends.file', extended],
  ['services.*.develop.watch.*.path', watched],
  ['services.*.volumes.*', mount],
  ['services.*.build.ssh.*', sshKey],
  ['configs.*.file', plain],
  ['secrets.*.file', plain],
  ['volumes.*', localVolume],
])

/** Makes the file's relative paths start from `directory`. @throws TcomposeError INVALID */
export function resolvePaths(tree: TreeMap, options: PathOptions): TreeMap {
  return visit(tree, RULES, options, []) as TreeMap
}

function visit(value: Tree, table: PathTable<Resolve>, options: PathOptions, path: Path): Tree {
  const now = table.value ? table.value(value, options, path) : value
  if (table.next.size === 0) return now
  if (isMap(now)) {
    const map = now
    let out: Draft | undefined
    for (const key of Object.keys(map)) {
      const next = descend(table, key)
      if (!next) continue
      const before = map[key] as Tree
      const after = visit(before, next, options, [...path, key])
      if (after !== before) {
        out ??= { ...map }
        out[key] = after
      }
    }
    return out ?? now
  }
  if (isList(now)) {
    const next = descend(table, 0)
    return next ? now.map((one, index) => visit(one, next, options, [...path, index])) : now
  }
  return now
}

/** `path` from `directory`, with `~` for the home directory. */
export function resolvePath(path: string, options: Pick<PathOptions, 'directory' | 'home'>): string {
  const expanded = expandHome(path, options.home)
  if (expanded === '' || isAbsolute(expanded) || isWindowsAbsolute(expanded)) return expanded
  return join(options.directory, expanded).replace(/(.)\/$/, '$1')
}

function expandHome(path: string, home: string | undefined): string {
  if (!home) return path
  if (path === '~') return home
  return path.startsWith('~/') || path.startsWith('~\\') ? join(home, path.slice(1)) : path
}

function isWindowsAbsolute(path: string): boolean {
  return /^[a-zA-Z]:[\\/]/.test(path) || path.startsWith('\\\\')
}

function plain(value: Tree, options: PathOptions): Tree {
  return typeof value === 'string' ? resolvePath(value, options) : value
}

/** URLs and references stay as they are. */
export function isRemoteContext(text: string): boolean {
  return /^(service:|git@|github\.com\/)/.test(text) || text.includes('://') || /^[\w.-]+@[\w.-]+:/.test(text)
}

function context(value: Tree, options: PathOptions): Tree {
  return typeof value !== 'string' || isRemoteContext(value) ? value : resolvePath(value, options)
}

function extended(value: Tree, options: PathOptions): Tree {
  return typeof value !== 'string' || isRemoteContext(value) ? value : resolvePath(value, options)
}

/** Watched through symbolic links, where it exists. */
function watched(value: Tree, options: PathOptions): Tree {
  const path = plain(value, options)
  if (typeof path !== 'string' || !isAbsolute(path)) return path
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

function sshKey(value: Tree, options: PathOptions): Tree {
  if (typeof value !== 'string') return value
  const [id = '', path] = value.split(/=(.*)/s)
  return path === undefined ? value : `${id}=${resolvePath(path, options)}`
}

function mount(value: Tree, options: PathOptions, path: Path): Tree {
  if (!isMap(value) || value.type !== 'bind') return value
  if (typeof value.source !== 'string' || value.source === '') {
    throw new TcomposeError('INVALID', 'invalid mount config for type "bind": field Source must not be empty', {
      at: options.at?.(path),
      hint: 'give it a source: the directory or file of the host',
    })
  }
  return { ...value, source: resolvePath(value.source, options) }
}

/** A local volume that binds a directory: its `device` is a path of the host. */
function localVolume(value: Tree, options: PathOptions): Tree {
  if (!isMap(value) || (value.driver !== undefined && value.driver !== 'local')) return value
  const opts = mapOf(value.driver_opts)
  if (typeof opts.device !== 'string' || typeof opts.o !== 'string' || !opts.o.split(',').includes('bind')) return value
  return {
    ...value,
    driver_opts: {
      ...opts,
      device: opts.device === '' ? options.directory : normalize(resolvePath(opts.device, options)),
    },
  }
}
