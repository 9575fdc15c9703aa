import { TcomposeError } from '../base/errors.ts'

/** A parsed compose file: what YAML can say, with string keys only. Passes return new trees and change none. */
export type Tree = null | boolean | number | string | readonly Tree[] | TreeMap
export interface TreeMap {
  readonly [key: string]: Tree
}
/** A map under construction. */
export type Draft = Record<string, Tree>
export type Path = readonly (string | number)[]

export function isMap(value: unknown): value is TreeMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isList(value: unknown): value is readonly Tree[] {
  return Array.isArray(value)
}

/** `value` if it is a map, else an empty one: for passes that run after the schema or must not care. */
export function mapOf(value: Tree | undefined): TreeMap {
  return isMap(value) ? value : {}
}

export function listOf(value: Tree | undefined): readonly Tree[] {
  return isList(value) ? value : []
}

/** A scalar or a list as a list; null and absent as none. */
export function asList(value: Tree | undefined): readonly Tree[] {
  if (value === undefined || value === null) return []
  return isList(value) ? value : [value]
}

export function mapValues(map: TreeMap, change: (value: Tree, key: string) => Tree): Draft {
  const out: Draft = {}
  for (const key of Object.keys(map)) out[key] = change(map[key] as Tree, key)
  return out
}

export function getAt(tree: Tree | undefined, path: Path): Tree | undefined {
  let at: Tree | undefined = tree
  for (const step of path) {
    if (isMap(at)) at = Object.hasOwn(at, step) ? at[step] : undefined
    else if (isList(at) && typeof step === 'number') at = at[step]
    else return undefined
  }
  return at
}

/** `services.web.ports.0` */
export function formatPath(path: Path): string {
  return path.join('.')
}

/** A scalar as Go prints it: what `environment: {A: 1.50}` becomes. */
export function scalarText(value: Tree): string {
  if (value === null) return ''
  if (typeof value !== 'number') return String(value)
  if (Number.isInteger(value) && Math.abs(value) < 1e21) return value.toFixed(0)
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  if (value === Number.NEGATIVE_INFINITY) return '-Inf'
  const exponent = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)))
  const text = exponent < -4 || exponent >= 21 ? value.toExponential() : String(value)
  return text.replace(/e([+-])(\d)$/, 'e$10$2')
}

/** One INVALID error for several that are independent of each other: the first carries the others. */
export function throwAll(errors: readonly TcomposeError[]): void {
  const [first, ...others] = errors
  if (!first) return
  if (others.length === 0) throw first
  throw new TcomposeError(first.code, first.message, { at: first.at, hint: first.hint, cause: first.cause, others })
}
