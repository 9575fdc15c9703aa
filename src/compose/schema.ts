import { TcomposeError } from '../base/errors.ts'
import { nearest } from './near.ts'
import validateSchema, { type SchemaFailure } from './schema/validate.generated.js'
import { knownAttributes } from './schema-attributes.ts'
import { formatPath, getAt, type Path, type TreeMap } from './tree.ts'

/**
 * Checks the shape of everything merged so far.
 * @param file whose merging is being checked, for the message
 * @returns every failure that is independent of the others
 */
export function checkSchema(
  tree: TreeMap,
  file: string,
  at: (path: Path) => string | undefined,
): readonly TcomposeError[] {
  if (validateSchema(tree)) return []
  const failures = mostSpecific(validateSchema.errors ?? [])
  const seen = new Set<string>()
  const errors: TcomposeError[] = []
  for (const failure of failures) {
    const path = pathOf(failure, tree)
    const { message, hint, key } = describe(failure, path)
    const text = `validating ${file}: ${formatPath(path)} ${message}`
    if (seen.has(text)) continue
    seen.add(text)
    errors.push(new TcomposeError('INVALID', text, { at: at(key === undefined ? path : [...path, key]), hint }))
  }
  return errors
}

/**
 * A value that fits none of several forms fails once for each: keeps the failure that went deepest, which belongs to the
 * form that was meant.
 */
function mostSpecific(failures: readonly SchemaFailure[]): readonly SchemaFailure[] {
  const choices = failures
    .filter((one) => one.keyword === 'oneOf')
    .map((one) => one.instancePath)
    .sort((a, b) => a.length - b.length)
  const roots: string[] = []
  for (const path of choices) if (!roots.some((root) => isBelow(path, root))) roots.push(path)
  const kept = failures.filter((one) => !roots.some((root) => isBelow(one.instancePath, root)))
  for (const root of roots) {
    const group = failures.filter((one) => isBelow(one.instancePath, root) && one.keyword !== 'oneOf')
    let best: SchemaFailure | undefined
    for (const one of group) if (!best || specificity(one) > specificity(best)) best = one
    if (!best) continue
    // Several unknown keys of one map are independent of each other.
    const siblings =
      best.keyword === 'additionalProperties'
        ? group.filter((one) => one.keyword === best.keyword && one.instancePath === best.instancePath)
        : [best]
    kept.push(...siblings)
  }
  return kept
}

function isBelow(path: string, root: string): boolean {
  return path === root || path.startsWith(`${root}/`)
}

function specificity(failure: SchemaFailure): number {
  return failure.instancePath.split('/').length + (failure.keyword === 'additionalProperties' ? 1 : 0)
}

function pathOf(failure: SchemaFailure, tree: TreeMap): Path {
  const path: (string | number)[] = []
  for (const step of failure.instancePath.split('/').slice(1)) {
    const key = step.replaceAll('~1', '/').replaceAll('~0', '~')
    path.push(Array.isArray(getAt(tree, path)) ? Number(key) : key)
  }
  return path
}

interface Description {
  readonly message: string
  readonly hint?: string | undefined
  /** The key of the element that is at fault. */
  readonly key?: string | undefined
}

function describe(failure: SchemaFailure, path: Path): Description {
  const { keyword, params } = failure
  switch (keyword) {
    case 'type':
      return { message: `must be a ${formatTypes(params.type as string | readonly string[])}`, hint: typeHint(path) }
    case 'additionalProperties': {
      const key = String(params.additionalProperty)
      return { message: `additional properties '${key}' not allowed`, hint: keyHint(key, path), key }
    }
    case 'required':
      return { message: `missing property '${String(params.missingProperty)}'` }
    case 'enum':
      return {
        message: `value must be ${(params.allowedValues as readonly string[]).length > 1 ? 'one of ' : ''}${(params.allowedValues as readonly string[]).map((one) => `'${one}'`).join(', ')}`,
      }
    case 'minimum':
      return { message: `must be greater than or equal to ${String(params.limit)}` }
    case 'maximum':
      return { message: `must be less than or equal to ${String(params.limit)}` }
    case 'uniqueItems':
      return {
        message: `items at ${String(params.j)} and ${String(params.i)} are equal`,
        hint: 'remove one of the two',
      }
    case 'pattern':
      return { message: `does not match pattern '${String(params.pattern)}'` }
    default:
      return { message: `is not allowed (${keyword})` }
  }
}

const TYPE_NAMES: Readonly<Record<string, string>> = { object: 'mapping', array: 'list' }

function formatTypes(type: string | readonly string[]): string {
  const listed = typeof type === 'string' ? type.split(',') : type
  // A map that may be left empty is still a map to people.
  const kinds = listed.includes('object') ? listed.filter((one) => one !== 'null') : listed
  const names = kinds.map((one) => TYPE_NAMES[one] ?? one).sort()
  return names.length < 2 ? (names[0] ?? '') : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`
}

function typeHint(path: Path): string | undefined {
  const last = path.at(-1)
  if (last === 'environment') return 'write it as a list of "KEY=value", or as a mapping KEY: value'
  if (last === 'ports' || last === 'volumes') return 'write it as a list, each entry after "- "'
  return undefined
}

function keyHint(key: string, path: Path): string | undefined {
  if (path[0] !== undefined && path.length === 1)
    return 'names consist of letters, digits, dots, dashes and underscores'
  const known = knownAttributes(path)
  const near = nearest(key, known)
  if (near !== undefined) return `did you mean ${near}?`
  if (path.length === 0) return 'services go under services:, and extensions start with x-'
  return undefined
}
