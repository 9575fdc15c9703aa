import { readFileSync } from 'node:fs'
import { resolve as resolvePath } from 'node:path'
import { errnoOf, TcomposeError } from '../base/errors.ts'
import { parseDotenv } from './dotenv.ts'
import { type Draft, isList, isMap, mapOf, mapValues, scalarText, type Tree, type TreeMap } from './tree.ts'
import type { Environment, Labels, Service, Warning } from './types.ts'

export type Lookup = (name: string) => string | undefined

/** Gives variables that are named without a value the one they have outside; what is not set there stays null. */
export function resolveEnvironment(tree: TreeMap, get: Lookup): TreeMap {
  if (!isMap(tree.services)) return tree
  return {
    ...tree,
    services: mapValues(tree.services, (service) => {
      if (!isMap(service)) return service
      const out: Draft = { ...service }
      if (service.environment !== undefined) out.environment = resolve(service.environment, get, true)
      if (isMap(service.build) && service.build.args !== undefined)
        out.build = { ...service.build, args: resolve(service.build.args, get, false) }
      return out
    }),
  }
}

function resolve(value: Tree, get: Lookup, keepUnset: boolean): Tree {
  if (isList(value)) {
    return value.flatMap((entry): readonly Tree[] => {
      const text = scalarText(entry)
      if (text.includes('=')) return [text]
      const found = get(text)
      return found === undefined ? (keepUnset ? [text] : []) : [`${text}=${found}`]
    })
  }
  if (!isMap(value)) return value
  const out: Draft = {}
  for (const key of Object.keys(value)) {
    const one = value[key] as Tree
    const found = one === null ? get(key) : undefined
    if (one !== null || found !== undefined || keepUnset) out[key] = found ?? one
  }
  return out
}

export interface FoldOptions {
  /** Where paths start that were left relative. */
  readonly directory: string
  readonly get: Lookup
  readonly warn: (warning: Warning) => void
}

/**
 * Reads the `env_file`s and `label_file`s of a service into its environment and labels, which win over them.
 * @throws TcomposeError INVALID when a file is missing or cannot be read
 */
export function foldFiles(service: Service, options: FoldOptions): Service {
  const { env_file, ...rest } = service
  const { label_file } = service
  if (!env_file?.length && !label_file?.length) return rest
  const out: { -readonly [K in keyof Service]: Service[K] } = { ...rest }
  if (env_file?.length) {
    const found: Record<string, string | null> = {}
    for (const file of env_file) {
      const text = readIfThere(resolvePath(options.directory, file.path))
      if (text === undefined) {
        if (file.required === false) continue
        throw notFound('env', file.path)
      }
      if (file.format !== undefined && file.format !== 'raw' && file.format !== '') {
        throw new TcomposeError('INVALID', `unsupported env_file format ${JSON.stringify(file.format)}`, {
          hint: 'raw is the only one there is',
        })
      }
      // Compose looks outside first, then at what the files before have set.
      const get: Lookup = (name) => options.get(name) ?? found[name] ?? undefined
      for (const [key, value] of readEnvFile(file.path, text, get, options, file.format === 'raw')) found[key] = value
    }
    const environment = sortKeys({ ...found, ...service.environment })
    if (Object.keys(environment).length > 0) out.environment = environment as Environment
  }
  if (label_file?.length) {
    const found: Record<string, string> = {}
    for (const path of label_file) {
      const text = readIfThere(resolvePath(options.directory, path))
      if (text === undefined) throw notFound('label', path)
      for (const [key, value] of readEnvFile(path, text, options.get, options, false)) found[key] = value
    }
    out.labels = { ...found, ...service.labels } as Labels
  }
  return out
}

function readEnvFile(path: string, text: string, get: Lookup, options: FoldOptions, raw: boolean): Map<string, string> {
  return parseDotenv(text, {
    file: path,
    get,
    raw,
    onUnset: (name) =>
      options.warn({
        message: `The ${JSON.stringify(name)} variable is not set. Defaulting to a blank string.`,
        at: path,
      }),
  })
}

export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const code = errnoOf(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new TcomposeError(
      'INVALID',
      `cannot read ${path}: ${code === 'EISDIR' ? 'it is a directory' : String(code)}`,
      { cause: error },
    )
  }
}

function notFound(what: string, path: string): TcomposeError {
  return new TcomposeError('INVALID', `${what} file ${path} not found: stat ${path}: no such file or directory`, {
    hint: `create it, or write {path: …, required: false}`,
  })
}

function sortKeys(map: Readonly<Record<string, string | null>>): Readonly<Record<string, string | null>> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Variables that secrets and configs of a tree take their content from. */
export function contentVariables(tree: TreeMap): readonly string[] {
  return (['secrets', 'configs'] as const).flatMap((kind) =>
    Object.values(mapOf(tree[kind])).flatMap((object) => {
      const name = mapOf(object).environment
      return typeof name === 'string' ? [name] : []
    }),
  )
}
