import { TcomposeError } from '../base/errors.ts'
import { descend, type PathTable, pathTable } from './path-table.ts'
import { canonicalBuild, dependsOnMap, namesToMap } from './short-forms.ts'
import { parsePorts } from './short-ports.ts'
import { parseVolume } from './short-volumes.ts'
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

export interface CanonicalOptions {
  readonly at: (path: Path) => string | undefined
  /** Leave what cannot be read as it is: it holds variables that were not filled in. */
  readonly lenient?: boolean
  readonly warn?: (message: string, path: Path) => void
}

type Transform = (value: Tree, path: Path, options: CanonicalOptions) => Tree

const RULES = pathTable<Transform>([
  ['services.*.build', (value) => (value === null ? null : canonicalBuild(value))],
  ['services.*.build.additional_contexts', entriesToMap],
  ['services.*.build.secrets.*', fileReference],
  ['services.*.build.ssh', sshList],
  ['services.*.configs.*', fileReference],
  ['services.*.secrets.*', fileReference],
  ['services.*.depends_on', dependencies],
  ['services.*.devices.*', device],
  ['services.*.dns', withoutBlanks],
  ['services.*.dns_search', textList],
  ['services.*.label_file', textList],
  ['services.*.tmpfs', textList],
  ['services.*.env_file', (value) => asList(value).map((one) => (isMap(one) ? one : { path: scalarText(one) }))],
  ['services.*.extends', (value) => (typeof value === 'string' ? { service: value } : value)],
  ['services.*.gpus', (value) => (value === 'all' ? [{ count: 'all' }] : value)],
  ['services.*.models', (value) => namesToMap(value)],
  ['services.*.networks', (value) => namesToMap(value)],
  ['services.*.ports', ports],
  ['services.*.provider.options.*', textList],
  ['services.*.volumes.*', volume],
  ...['networks.*', 'volumes.*', 'configs.*', 'secrets.*'].map((pattern) => [pattern, resource] as const),
])

/** Puts every short form into its long one. @throws TcomposeError INVALID */
export function canonical(tree: TreeMap, options: CanonicalOptions): TreeMap {
  return visit(tree, [], RULES, options) as TreeMap
}

function visit(value: Tree, path: Path, table: PathTable<Transform>, options: CanonicalOptions): Tree {
  let now = value
  if (table.value) {
    try {
      now = table.value(value, path, options)
    } catch (error) {
      if (!(error instanceof TcomposeError)) throw error
      if (options.lenient) return value
      throw new TcomposeError('INVALID', error.message, { at: error.at ?? options.at(path), hint: error.hint })
    }
  }
  if (table.next.size === 0) return now
  if (isMap(now)) {
    const map = now
    let out: Draft | undefined
    for (const key of Object.keys(map)) {
      const next = descend(table, key)
      if (!next) continue
      const before = map[key] as Tree
      const after = visit(before, [...path, key], next, options)
      if (after !== before) {
        out ??= { ...map }
        out[key] = after
      }
    }
    return out ?? now
  }
  if (isList(now)) {
    const next = descend(table, 0)
    return next ? now.map((one, index) => visit(one, [...path, index], next, options)) : now
  }
  return now
}

function textList(value: Tree): Tree {
  return asList(value).map(scalarText)
}

function withoutBlanks(value: Tree): Tree {
  return asList(value).filter((one) => one !== null && one !== '')
}

function entriesToMap(value: Tree): Tree {
  if (isMap(value)) return value
  const out: Draft = {}
  for (const one of asList(value)) {
    const [key = '', text = ''] = scalarText(one).split(/=(.*)/s)
    out[key] = text
  }
  return out
}

function fileReference(value: Tree): Tree {
  return typeof value === 'string' ? { source: value } : value
}

/** `default`, `id=path`: a key without a path uses the agent of the environment. */
function sshList(value: Tree): Tree {
  if (!isMap(value)) return asList(value).map(scalarText)
  return Object.keys(value).map((id) => {
    const path = scalarText(value[id] as Tree)
    return path === '' ? id : `${id}=${path}`
  })
}

function dependencies(value: Tree): Tree {
  const map = dependsOnMap(value)
  const out: Draft = {}
  for (const name of Object.keys(map)) out[name] = { required: true, ...(map[name] as TreeMap) }
  return out
}

function device(value: Tree, path: Path): Tree {
  if (typeof value !== 'string') return value
  const [source = '', target = source, permissions = 'rwm', ...rest] = value.split(':')
  if (rest.length > 0 || source === '') {
    throw new TcomposeError('INVALID', `confusing device mapping, please use long syntax: ${value}`, {
      hint: `${formatPath(path)} is SOURCE[:TARGET[:PERMISSIONS]], like /dev/ttyUSB0:/dev/ttyUSB0:rw`,
    })
  }
  // vendor.com/class=name is a device of CDI and has no path in the container
  if (!source.startsWith('/') && source.includes('=')) return { source, permissions: 'rwm', target: source }
  return { source, target, permissions }
}

function ports(value: Tree, path: Path, options: CanonicalOptions): Tree {
  if (!isList(value)) return value
  return value.flatMap((one, index): readonly Tree[] => {
    if (isMap(one))
      return [
        one.published === undefined || one.published === null ? one : { ...one, published: scalarText(one.published) },
      ]
    try {
      return parsePorts(scalarText(one))
    } catch (error) {
      if (!(error instanceof TcomposeError)) throw error
      if (options.lenient) return [one]
      throw new TcomposeError('INVALID', error.message, { at: options.at([...path, index]), hint: error.hint })
    }
  })
}

function volume(value: Tree, path: Path, options: CanonicalOptions): Tree {
  if (typeof value !== 'string') return value
  const parsed = parseVolume(value)
  if (/^[a-zA-Z]:\/[^:]*$/.test(value)) {
    options.warn?.(
      `${formatPath(path)}: ${JSON.stringify(value)} is taken for a Windows path; a volume needs a name of more than one letter`,
      path,
    )
  }
  if (parsed.error !== undefined) {
    throw new TcomposeError('INVALID', parsed.error, {
      hint: 'write volumes as SOURCE:TARGET[:ro], like ./data:/data or name:/data',
    })
  }
  const section: Draft = {}
  if (parsed.type === 'bind') {
    section.create_host_path = true
    if (parsed.propagation !== undefined) section.propagation = parsed.propagation
    if (parsed.selinux !== undefined) section.selinux = parsed.selinux
  } else if (parsed.nocopy) section.nocopy = true
  return {
    type: parsed.type,
    ...(parsed.source === undefined ? {} : { source: parsed.source }),
    target: parsed.target === '' ? '' : cleanTarget(parsed.target),
    ...(parsed.readOnly ? { read_only: true } : {}),
    ...(parsed.consistency === undefined ? {} : { consistency: parsed.consistency }),
    ...(parsed.hasSection ? { [parsed.type]: section } : {}),
  }
}

function cleanTarget(target: string): string {
  if (!target.startsWith('/') || target.length === 1) return target
  const parts: string[] = []
  for (const part of target.split('/')) {
    if (part === '' || part === '.') continue
    if (part === '..') parts.pop()
    else parts.push(part)
  }
  return `/${parts.join('/')}`
}

/** A network, volume, config or secret: null means all defaults; `external: {name: x}` is the old form of `name: x`. */
function resource(value: Tree, path: Path, options: CanonicalOptions): Tree {
  if (value === null) return {}
  if (!isMap(value) || !isMap(value.external)) return value
  const { name } = value.external
  if (name !== undefined) {
    if (value.name !== undefined && value.name !== name) {
      throw new TcomposeError('INVALID', `${formatPath(path)}: name and external.name conflict; only use name`)
    }
    options.warn?.(`${formatPath(path)}: external.name is deprecated. Please set name and external: true`, path)
  }
  return { ...value, external: true, ...(name === undefined ? {} : { name }) }
}
