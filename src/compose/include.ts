import { dirname, isAbsolute, join, relative } from 'node:path'
import { TcomposeError } from '../base/errors.ts'
import { merge } from './merge.ts'
import { isRemoteContext } from './paths.ts'
import { applyResets } from './reset.ts'
import { asList, type Draft, isMap, mapOf, type Path, scalarText, type Tree, type TreeMap } from './tree.ts'

/** One entry of `include`, with all paths absolute. */
export interface IncludeEntry {
  readonly files: readonly string[]
  /** The included project's own directory. */
  readonly directory: string
  /** Undefined: `.env` of that directory, if there is one. */
  readonly envFiles: readonly string[] | undefined
}

export interface IncludeScope {
  /** Absolute; paths of `include` start here. */
  readonly directory: string
  /** Files being included at the moment, outermost first. */
  readonly trail: readonly string[]
  readonly at: (path: Path) => string | undefined
  /** Loads an entry as a project of its own, up to and including its environment. `relative`: its directory from ours. */
  readonly load: (entry: IncludeEntry, relative: string) => TreeMap
}

const KINDS = ['services', 'volumes', 'networks', 'secrets', 'configs', 'models'] as const

/**
 * Copies what `include` names into `tree`; where both declare the same element they are merged, and `tree` wins.
 * @throws TcomposeError INVALID for circles and missing files, UNSUPPORTED for remote ones
 */
export function applyIncludes(tree: TreeMap, resets: readonly Path[], scope: IncludeScope): TreeMap {
  if (tree.include === undefined) return tree
  const { include, ...rest } = tree
  let out: TreeMap = rest
  asList(include).forEach((entry, index) => {
    const parsed = parseEntry(entry, ['include', index], scope)
    const [main] = parsed.files
    if (main === undefined)
      throw new TcomposeError('INVALID', `include.${index}: path is required`, { at: scope.at(['include', index]) })
    if (scope.trail.includes(main)) {
      const [first, ...others] = [...scope.trail, main]
      throw new TcomposeError(
        'INVALID',
        `include cycle detected:\n${first}${others.map((one) => `\n include ${one}`).join('')}`,
        {
          at: scope.at(['include', index]),
        },
      )
    }
    out = importInto(out, scope.load(parsed, relative(scope.directory, parsed.directory) || '.'), resets)
  })
  return out
}

function parseEntry(entry: Tree, path: Path, scope: IncludeScope): IncludeEntry {
  const map = isMap(entry) ? entry : { path: entry }
  const resolve = (text: string): string => (isAbsolute(text) ? text : join(scope.directory, text))
  const files = asList(map.path).map(scalarText)
  for (const file of files) {
    if (isRemoteContext(file) || file.startsWith('oci://')) {
      throw new TcomposeError(
        'UNSUPPORTED',
        `including ${file} is not supported: only files of this machine are read`,
        {
          at: scope.at(path),
          hint: 'fetch it first, and include the file',
        },
      )
    }
  }
  const [main = ''] = files
  const directory = typeof map.project_directory === 'string' ? resolve(map.project_directory) : dirname(resolve(main))
  const envFiles =
    map.env_file === undefined || map.env_file === null
      ? undefined
      : asList(map.env_file).map((one) => resolve(scalarText(one)))
  return { files: files.map(resolve), directory, envFiles }
}

function importInto(tree: TreeMap, imported: TreeMap, resets: readonly Path[]): TreeMap {
  const out: Draft = { ...tree }
  for (const kind of KINDS) {
    const from = mapOf(imported[kind])
    if (Object.keys(from).length === 0) continue
    if (out[kind] !== undefined && out[kind] !== null && !isMap(out[kind])) continue
    const into: Draft = { ...mapOf(out[kind]) }
    for (const name of Object.keys(from)) {
      const theirs = from[name] as Tree
      const ours = Object.hasOwn(into, name) ? into[name] : undefined
      if (ours === undefined || !isMap(theirs)) {
        into[name] = ours ?? theirs
        continue
      }
      const cleared = mapOf(applyResets({ [kind]: { [name]: theirs } }, resets)[kind])[name] ?? null
      into[name] = isMap(cleared) && isMap(ours) ? merge(cleared, ours, [kind, name]) : (ours ?? cleared)
    }
    out[kind] = into
  }
  return out
}
