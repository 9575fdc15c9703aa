import { TcomposeError } from '../base/errors.ts'
import { CASTS, type CastKind, castTo } from './casts.ts'
import { descend, type PathTable } from './path-table.ts'
import { parseTemplate, type Reference, substitute, TemplateError, type TemplateScope } from './template.ts'
import { type Draft, formatPath, isList, isMap, type Path, type Tree, type TreeMap } from './tree.ts'
import type { Variable, Warning } from './types.ts'

export interface InterpolateOptions {
  readonly scope: TemplateScope
  readonly at: (path: Path) => string | undefined
  readonly warn: (warning: Warning) => void
}

/**
 * Fills variables into every string value (never keys), and turns strings into numbers and booleans where the model has
 * such. All failures are reported together, in the order of their paths.
 * @throws TcomposeError INVALID
 */
export function interpolate(
  tree: TreeMap,
  options: InterpolateOptions,
): { readonly tree: TreeMap; readonly errors: readonly TcomposeError[] } {
  const errors: { readonly path: string; readonly error: TcomposeError }[] = []
  // One path for the whole walk: most files are right, and then nobody needs a copy of it.
  const path: (string | number)[] = []
  const below = (value: Tree, step: string | number, table: PathTable<CastKind> | undefined): Tree => {
    if (typeof value !== 'string' && !isMap(value) && !isList(value)) return value
    path.push(step)
    const now = visit(value, descend(table, step))
    path.pop()
    return now
  }
  const visit = (value: Tree, table: PathTable<CastKind> | undefined): Tree => {
    if (typeof value === 'string') {
      try {
        const text = substitute(value, options.scope)
        return table?.value === undefined ? text : castTo(table.value, text, path, options)
      } catch (error) {
        errors.push({ path: formatPath(path), error: asError(error, [...path], options) })
        return value
      }
    }
    if (isList(value)) return value.map((one, index) => below(one, index, table))
    if (!isMap(value)) return value
    let out: Draft | undefined
    for (const key of Object.keys(value)) {
      const before = value[key] as Tree
      const after = below(before, key, table)
      if (after !== before) {
        out ??= { ...value }
        out[key] = after
      }
    }
    return out ?? value
  }
  const result = visit(tree, CASTS) as TreeMap
  errors.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
  return { tree: result, errors: errors.map((one) => one.error) }
}

function asError(error: unknown, path: Path, options: InterpolateOptions): TcomposeError {
  const where = formatPath(path)
  const at = options.at(path)
  if (error instanceof TemplateError) {
    return error.kind === 'syntax'
      ? new TcomposeError(
          'INVALID',
          `invalid interpolation format for ${where}.\nYou may need to escape any $ with another $.\n${error.message}`,
          {
            at,
            hint: `variables are written \${NAME}; a literal dollar is $$`,
          },
        )
      : new TcomposeError('INVALID', `error while interpolating ${where}: ${error.message}`, {
          at,
          hint: 'set it in the shell, in .env, or with --env-file',
        })
  }
  if (error instanceof TcomposeError) {
    return new TcomposeError(
      'INVALID',
      `error while interpolating ${where}: failed to cast to expected type: ${error.message}`,
      { at, hint: error.hint },
    )
  }
  throw error
}

/** The variables that a tree mentions, nested ones too, by name. */
export function variablesOf(tree: Tree): readonly Variable[] {
  const found = new Map<string, Variable>()
  const note = (reference: Reference): void => {
    const { name, operator, operand } = reference
    const before = found.get(name)
    found.set(name, {
      name,
      required: (before?.required ?? false) || operator.endsWith('?'),
      default: operator.endsWith('-') ? operand : (before?.default ?? ''),
      alternate: operator.endsWith('+') ? operand : (before?.alternate ?? ''),
    })
    scan(operand)
  }
  const scan = (text: string): void => {
    if (!text.includes('$')) return
    try {
      for (const part of parseTemplate(text)) if (typeof part !== 'string') note(part)
    } catch (error) {
      // What cannot be read is reported by interpolation itself.
      if (!(error instanceof TemplateError)) throw error
    }
  }
  const visit = (value: Tree): void => {
    if (typeof value === 'string') scan(value)
    else if (isList(value)) value.forEach(visit)
    else if (isMap(value)) Object.values(value).forEach(visit)
  }
  visit(tree)
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}
