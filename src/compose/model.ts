import { join, resolve } from 'node:path'
import { TcomposeError } from '../base/errors.ts'
import { canonical } from './canonical.ts'
import { applyDefaults } from './defaults.ts'
import { type Discovery, unset } from './discover.ts'
import { parseDotenv } from './dotenv.ts'
import { contentVariables, type Lookup, readIfThere, resolveEnvironment } from './environment.ts'
import { applyExtends } from './extends.ts'
import { applyIncludes, type IncludeEntry } from './include.ts'
import { interpolate } from './interpolate.ts'
import { merge } from './merge.ts'
import { parseYaml, type YamlDocument } from './parse-yaml.ts'
import { resolvePaths } from './paths.ts'
import { applyResets } from './reset.ts'
import { checkSchema } from './schema.ts'
import type { Sources } from './sources.ts'
import { type Draft, isMap, type Path, type Tree, type TreeMap, throwAll } from './tree.ts'
import type { LoadOptions, Warning } from './types.ts'
import { enforceUnique } from './unique.ts'
import { validate } from './validate.ts'

/** Files nested by include and extends beyond which it is no project any more. */
const MAX_FILES = 2000

/** What the files of one project, or of one included in it, are read with. */
export interface ModelScope {
  /** Absolute: where `include` and `extends.file` start. */
  readonly directory: string
  /** Where the model's relative paths are made to start; undefined leaves them alone. */
  readonly relative: string | undefined
  readonly get: Lookup
  /** Files being included, outermost first. */
  readonly trail: readonly string[]
  readonly isIncluded: boolean
}

export interface SourceFile {
  readonly file: string
  readonly documents: readonly YamlDocument[]
}

export interface Loader {
  read(file: string): readonly YamlDocument[]
  /** All files of a scope as one model: canonical, with defaults, checked, paths and environment resolved. */
  loadModel(files: readonly SourceFile[], scope: ModelScope): TreeMap
  /** The trees as they were written, for the variables in them. */
  raw(): readonly Tree[]
  /** Values that included projects' env files give to variables which configs and secrets name. */
  contentEnvironment(): Readonly<Record<string, string>>
}

interface ExtendedFile {
  readonly tree: TreeMap
  readonly resets: readonly Path[]
}

export interface LoaderOptions {
  readonly options: LoadOptions
  readonly sources: Sources
  readonly warn: (warning: Warning) => void
  readonly stdin: string | undefined
  readonly discovery: Discovery
}

export function createLoader({ options, sources, warn, stdin, discovery }: LoaderOptions): Loader {
  const home = discovery.environment.HOME
  const raw: Tree[] = []
  const content: Record<string, string> = {}
  /** By environment, since that is filled in; a file that many services extend is read once. */
  const extended = new Map<Lookup, Map<string, ExtendedFile>>()
  let filesRead = 0

  const read = (file: string): readonly YamlDocument[] => {
    if (++filesRead > MAX_FILES)
      throw new TcomposeError('INVALID', `more than ${MAX_FILES} files are included or extended`)
    const text = file === '-' ? stdin : readIfThere(file)
    if (text === undefined) {
      throw new TcomposeError(
        'NOT_FOUND',
        file === '-' ? 'there is nothing on standard input' : `open ${file}: no such file or directory`,
        {
          hint: file === '-' ? undefined : 'is the path right? it starts from the directory of the file that names it',
        },
      )
    }
    const documents = parseYaml(text, file, sources.display(file))
    sources.add(file, documents)
    for (const { tree } of documents) if (tree !== undefined) raw.push(tree)
    return documents
  }

  const at =
    (file: string) =>
    (path: Path): string | undefined =>
      sources.atIn(file, path) ?? sources.at(path)

  /** One document with its variables filled in. */
  const fill = (tree: Tree, file: string, get: Lookup): TreeMap => {
    if (!isMap(tree))
      throw new TcomposeError('INVALID', `${file}: top-level object must be a mapping`, { at: sources.display(file) })
    if (options.noInterpolate) return tree
    const onUnset = (name: string): void => warn({ message: unset(name), at: sources.display(file) })
    const filled = interpolate(tree, { scope: { get, onUnset }, at: at(file), warn })
    throwAll(filled.errors)
    return filled.tree
  }

  const toCanonical = (tree: TreeMap, file: string): TreeMap =>
    enforceUnique(
      canonical(tree, {
        at: at(file),
        lenient: options.noInterpolate === true,
        warn: (message, path) => warn({ message, at: sources.at(path) }),
      }),
    )

  /** A file that is extended: whole, in canonical form, otherwise as it is. */
  const readExtended = (file: string, get: Lookup): ExtendedFile => {
    const cache = extended.get(get) ?? new Map<string, ExtendedFile>()
    extended.set(get, cache)
    const known = cache.get(file)
    if (known) return known
    let tree: TreeMap = {}
    const resets: Path[] = []
    for (const document of read(file)) {
      if (document.tree === undefined) continue
      tree = enforceUnique(merge(applyResets(tree, document.resets), fill(document.tree, file, get)))
      resets.push(...document.resets)
    }
    const result = { tree: toCanonical(tree, file), resets }
    cache.set(file, result)
    return result
  }

  const include = (entry: IncludeEntry, relative: string, parent: ModelScope): TreeMap => {
    const get = includedEnvironment(entry, parent.get, warn)
    const [main = ''] = entry.files
    const model = loadModel(
      entry.files.map((file) => ({ file, documents: read(file) })),
      { directory: entry.directory, relative, get, trail: [...parent.trail, main], isIncluded: true },
    )
    for (const name of contentVariables(model)) {
      const value = get(name)
      if (value !== undefined) content[name] ??= value
    }
    return model
  }

  const loadModel = (files: readonly SourceFile[], scope: ModelScope): TreeMap => {
    let model: TreeMap = {}
    for (const { file, documents } of files) {
      const trail = scope.trail.includes(file) ? scope.trail : [...scope.trail, file]
      for (const document of documents) {
        if (document.tree === undefined) continue
        let tree = fill(document.tree, file, scope.get)
        if (tree.version !== undefined) {
          warn({
            message: `${file}: the attribute \`version\` is obsolete, it will be ignored, please remove it to avoid potential confusion`,
            at: at(file)(['version']),
          })
        }
        checkNames(tree, file, at(file))
        tree = applyIncludes(tree, document.resets, {
          directory: scope.directory,
          trail,
          at: at(file),
          load: (entry, relative) => include(entry, relative, { ...scope, trail }),
        })
        model = applyResets(model, document.resets)
        tree = applyExtends(tree, file, document.resets, {
          directory: scope.directory,
          home,
          at: at(file),
          read: (other) => readExtended(other, scope.get),
        })
        model = enforceUnique(merge(model, tree))
        throwAll(checkSchema(model, file, (path) => sources.atIn(file, path) ?? sources.at(path)))
        model = toCanonical(model, file)
      }
    }
    model = applyDefaults(model)
    throwAll(options.noInterpolate ? [] : validate(model, sources.at))
    if (scope.relative !== undefined) model = resolvePaths(model, { directory: scope.relative, home, at: sources.at })
    if (!options.noInterpolate) model = resolveEnvironment(model, scope.get)
    if (!scope.isIncluded) return model
    const { name: _ignored, ...included } = model
    return included
  }

  return { read, loadModel, raw: () => raw, contentEnvironment: () => content }
}

/** Maps that later passes walk must be such before they do. */
function checkNames(tree: TreeMap, file: string, at: (path: Path) => string | undefined): void {
  const isShaped = (['services', 'networks', 'volumes', 'secrets', 'configs', 'models'] as const).every((kind) => {
    const value = tree[kind]
    return value === undefined || value === null || isMap(value)
  })
  if (!isShaped) throwAll(checkSchema(tree, file, at))
}

/** The parent's environment on top of the entry's env files, or of `.env` in its directory. */
function includedEnvironment(entry: IncludeEntry, parent: Lookup, warn: (warning: Warning) => void): Lookup {
  const values: Draft = {}
  const files = entry.envFiles ?? [join(entry.directory, '.env')]
  for (const file of files) {
    const text = entry.envFiles === undefined ? readDefault(file) : readIfThere(file)
    if (text === undefined) {
      if (entry.envFiles === undefined) continue
      throw new TcomposeError('NOT_FOUND', `couldn't find env file: ${resolve(file)}`)
    }
    const get: Lookup = (name) => parent(name) ?? (values[name] as string | undefined)
    for (const [key, value] of parseDotenv(text, {
      file,
      get,
      onUnset: (name) => warn({ message: unset(name), at: file }),
    }))
      values[key] = value
  }
  return (name) => parent(name) ?? (Object.hasOwn(values, name) ? (values[name] as string) : undefined)
}

function readDefault(file: string): string | undefined {
  try {
    return readIfThere(file)
  } catch (error) {
    // A directory called .env is no env file.
    if (error instanceof TcomposeError) return undefined
    throw error
  }
}
