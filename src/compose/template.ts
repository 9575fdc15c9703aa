import { TcomposeError } from '../base/errors.ts'

export interface TemplateScope {
  /** Value of a variable, or undefined when it is not set. */
  readonly get: (name: string) => string | undefined
  /** Called for a variable that is not set and has no default. */
  readonly onUnset?: (name: string) => void
}

/** Why a template cannot be filled in; callers add where. */
export class TemplateError extends Error {
  readonly kind: 'syntax' | 'required'
  constructor(kind: 'syntax' | 'required', message: string) {
    super(message)
    this.kind = kind
  }
}

/** `${NAME<operator><operand>}` */
export interface Reference {
  readonly name: string
  readonly operator: '' | ':?' | '?' | ':-' | '-' | ':+' | '+'
  readonly operand: string
}

type Part = string | Reference

const NAME = /[_a-zA-Z][_a-zA-Z0-9]*/y

/**
 * Fills in `$NAME`, `${NAME}`, and the operators `:-` `-` `:?` `?` `:+` `+`, whose operands may hold further ones; `$$`
 * is a `$`. The operand that is not needed is not looked at.
 * @throws TemplateError
 */
export function substitute(text: string, scope: TemplateScope): string {
  if (!text.includes('$')) return text
  let out = ''
  for (const part of parseTemplate(text)) out += typeof part === 'string' ? part : resolve(part, scope)
  return out
}

function resolve(reference: Reference, scope: TemplateScope): string {
  const value = scope.get(reference.name)
  const operand = (): string => substitute(reference.operand, scope)
  switch (reference.operator) {
    case '':
      if (value === undefined) scope.onUnset?.(reference.name)
      return value ?? ''
    case ':-':
      return value || operand()
    case '-':
      return value ?? operand()
    case ':+':
      return value ? operand() : ''
    case '+':
      return value === undefined ? '' : operand()
    case ':?':
      if (!value) throw missing(reference.name, operand())
      return value
    case '?':
      if (value === undefined) throw missing(reference.name, operand())
      return value
  }
}

function missing(name: string, why: string): TemplateError {
  return new TemplateError('required', `required variable ${name} is missing a value${why === '' ? '' : `: ${why}`}`)
}

/** @throws TemplateError for braces that hold no variable */
export function parseTemplate(text: string): readonly Part[] {
  const parts: Part[] = []
  let at = 0
  for (;;) {
    const dollar = text.indexOf('$', at)
    if (dollar < 0) break
    if (dollar > at) parts.push(text.slice(at, dollar))
    const next = text[dollar + 1]
    if (next === '$') {
      parts.push('$')
      at = dollar + 2
      continue
    }
    if (next === '{') {
      const end = closingBrace(text, dollar + 1)
      if (end < 0) throw new TemplateError('syntax', `Invalid template: ${JSON.stringify(text)}`)
      parts.push(parseReference(text.slice(dollar + 2, end), text))
      at = end + 1
      continue
    }
    NAME.lastIndex = dollar + 1
    const name = NAME.exec(text)?.[0]
    parts.push(name === undefined ? '$' : { name, operator: '', operand: '' })
    at = dollar + 1 + (name?.length ?? 0)
  }
  if (at < text.length) parts.push(text.slice(at))
  return parts
}

/** Every `{` inside counts, so that JSON may stand as a default. */
function closingBrace(text: string, open: number): number {
  let depth = 0
  for (let index = open; index < text.length; index++) {
    if (text[index] === '}') {
      depth--
      if (depth === 0) return index
    } else if (text[index] === '{') depth++
  }
  return -1
}

function parseReference(inside: string, whole: string): Reference {
  const match = /^([_a-zA-Z][_a-zA-Z0-9]*)(?:(:?[-?+])([\s\S]*))?$/.exec(inside)
  if (!match) throw new TemplateError('syntax', `Invalid template: ${JSON.stringify(whole)}`)
  return { name: match[1] as string, operator: (match[2] ?? '') as Reference['operator'], operand: match[3] ?? '' }
}

/** A required variable that is missing, or a template that cannot be read, as an error of a file. */
export function templateFailure(error: unknown, message: (error: TemplateError) => string, at?: string): unknown {
  return error instanceof TemplateError ? new TcomposeError('INVALID', message(error), { at }) : error
}
