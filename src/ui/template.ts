import { TcomposeError } from '../base/errors.ts'

/** Data a template reads: `.Name` looks up `Name`; functions of it are called without arguments. */
export type TemplateData = Readonly<Record<string, unknown>>

type Value = unknown
interface Scope {
  readonly dot: Value
  readonly variables: Map<string, Value>
}
type Node = (scope: Scope) => string
type Expression = (scope: Scope) => Value

/**
 * Compiles the part of Go's text/template that `--format` users need: fields, pipelines, `json`, `join`, `upper`,
 * `lower`, `title`, `split`, `println`, `printf`, `len`, `index`, `truncate`, `pad`, comparisons, `and`/`or`/`not`,
 * `if`/`else`/`range`/`with`, variables, trim markers. `table ` at the front is the caller's to strip.
 * @throws TcomposeError INVALID `template parsing error: …`
 */
export function compileTemplate(source: string): (data: TemplateData) => string {
  const parser = new TemplateParser(source)
  const node = parser.block([])
  return (data) => node({ dot: data, variables: new Map([['$', data]]) })
}

export function formatTemplate(source: string, data: TemplateData): string {
  return compileTemplate(source.replaceAll('\\t', '\t').replaceAll('\\n', '\n'))(data)
}

function bad(message: string): TcomposeError {
  return new TcomposeError('INVALID', `template parsing error: ${message}`, {
    hint: 'use a Go template, e.g. {{.Name}} or {{json .}}',
  })
}

class TemplateParser {
  private readonly pieces: readonly { readonly action: boolean; readonly text: string }[]
  private position = 0

  constructor(source: string) {
    this.pieces = split(source)
  }

  block(ends: readonly string[]): Node {
    const nodes: Node[] = []
    for (;;) {
      const piece = this.pieces[this.position]
      if (!piece) {
        if (ends.length > 0) throw bad(`unexpected EOF, ${ends.at(-1)} is missing`)
        break
      }
      if (piece.action && ends.includes(piece.text.split(/\s/)[0] as string)) break
      this.position++
      nodes.push(piece.action ? this.action(piece.text) : () => piece.text)
    }
    return (scope) => nodes.map((node) => node(scope)).join('')
  }

  private action(text: string): Node {
    if (text.startsWith('/*')) return () => ''
    const [word, rest] = splitFirst(text)
    switch (word) {
      case 'if':
      case 'with':
        return this.conditional(word, rest)
      case 'range':
        return this.range(rest)
      case 'end':
      case 'else':
        throw bad(`unexpected {{${word}}}`)
    }
    const assign = /^(\$\w+)\s*:?=\s*(.+)$/s.exec(text)
    if (assign) {
      const value = pipeline(assign[2] as string)
      return (scope) => {
        scope.variables.set(assign[1] as string, value(scope))
        return ''
      }
    }
    const value = pipeline(text)
    return (scope) => show(value(scope))
  }

  private conditional(word: string, condition: string): Node {
    const test = pipeline(condition)
    const body = this.block(['else', 'end'])
    const otherwise = this.elseBranch()
    return (scope) => {
      const value = test(scope)
      if (!truthy(value)) return otherwise(scope)
      return body(word === 'with' ? { ...scope, dot: value } : scope)
    }
  }

  private range(text: string): Node {
    const named = /^(?:(\$\w+)\s*,\s*)?(\$\w+)\s*:=\s*(.+)$/s.exec(text)
    const over = pipeline(named ? (named[3] as string) : text)
    const body = this.block(['else', 'end'])
    const otherwise = this.elseBranch()
    return (scope) => {
      const value = over(scope)
      const entries: [Value, Value][] = Array.isArray(value)
        ? value.map((item, index): [Value, Value] => [index, item])
        : Object.entries((value ?? {}) as object).sort(([a], [b]) => (a < b ? -1 : 1))
      if (entries.length === 0) return otherwise(scope)
      return entries
        .map(([key, item]) => {
          const variables = new Map(scope.variables)
          if (named?.[1]) variables.set(named[1], key)
          if (named?.[2]) variables.set(named[2], item)
          return body({ dot: item, variables })
        })
        .join('')
    }
  }

  private elseBranch(): Node {
    const piece = this.pieces[this.position++] as { text: string }
    if (piece.text === 'end') return () => ''
    const [, rest] = splitFirst(piece.text)
    if (rest !== '') {
      const [word, condition] = splitFirst(rest)
      return this.conditional(word, condition) // `else if`: it takes the `end` for both
    }
    const node = this.block(['end'])
    this.position++
    return node
  }
}

function split(source: string): { action: boolean; text: string }[] {
  const pieces: { action: boolean; text: string }[] = []
  let rest = source
  let trimNext = false
  for (;;) {
    const open = rest.indexOf('{{')
    let literal = open < 0 ? rest : rest.slice(0, open)
    if (trimNext) literal = literal.trimStart()
    if (open < 0) {
      if (literal) pieces.push({ action: false, text: literal })
      return pieces
    }
    const close = rest.indexOf('}}', open)
    if (close < 0) throw bad('unclosed action')
    let text = rest.slice(open + 2, close)
    if (/^-\s/.test(text)) {
      literal = literal.trimEnd()
      text = text.slice(1)
    }
    trimNext = /\s-$/.test(text)
    if (trimNext) text = text.slice(0, -1)
    if (literal) pieces.push({ action: false, text: literal })
    pieces.push({ action: true, text: text.trim() })
    rest = rest.slice(close + 2)
  }
}

function splitFirst(text: string): [string, string] {
  const match = /^(\S+)\s*(.*)$/s.exec(text)
  return match ? [match[1] as string, match[2] as string] : ['', '']
}

const TOKEN = /\s*("(?:[^"\\]|\\.)*"|`[^`]*`|[()|]|[^\s()|]+)/gy

function pipeline(text: string): Expression {
  const matches = [...text.matchAll(TOKEN)]
  const tokens = matches.map((match) => match[1] as string)
  /** `(index .Mounts 0).Name`: a field of what the brackets give, unlike `(…) .Name`, which is another argument. */
  const isGlued = (at: number): boolean => matches[at]?.[0].startsWith('.') === true
  if (tokens.length === 0) throw bad('missing value for command')
  let position = 0
  const parsePipe = (): Expression => {
    let value = parseCommand(undefined)
    while (tokens[position] === '|') {
      position++
      value = parseCommand(value)
    }
    return value
  }
  const parseCommand = (piped: Expression | undefined): Expression => {
    const head = tokens[position]
    if (head === undefined || head === '|' || head === ')') throw bad('missing value for command')
    if (/^[a-zA-Z]\w*$/.test(head) && !['true', 'false', 'nil'].includes(head)) {
      position++
      const call = FUNCTIONS[head]
      if (!call) throw bad(`function "${head}" not defined`)
      const args: Expression[] = []
      while (position < tokens.length && tokens[position] !== '|' && tokens[position] !== ')') args.push(parseOperand())
      if (piped) args.push(piped)
      return (scope) => call(...args.map((arg) => arg(scope)))
    }
    const value = parseOperand()
    if (piped) throw bad(`can't give an argument to non-function ${head}`)
    return value
  }
  const parseOperand = (): Expression => {
    const token = tokens[position++] as string
    if (token === '(') {
      const inner = parsePipe()
      if (tokens[position] !== ')') throw bad('unclosed left paren')
      position++
      const path = isGlued(position) ? (tokens[position++] as string).slice(1).split('.') : []
      return path.length === 0 ? inner : (scope) => lookUp(inner(scope), path)
    }
    if (token === 'true' || token === 'false') return () => token === 'true'
    if (token === 'nil') return () => undefined
    if (token.startsWith('"')) {
      const value = JSON.parse(token) as string
      return () => value
    }
    if (token.startsWith('`')) return () => token.slice(1, -1)
    if (/^-?\d+(\.\d+)?$/.test(token)) return () => Number(token)
    if (token === '.') return (scope) => scope.dot
    if (token.startsWith('.')) return (scope) => lookUp(scope.dot, token.slice(1).split('.'))
    if (token.startsWith('$')) {
      const [name, ...path] = token.split('.')
      return (scope) => lookUp(scope.variables.get(name as string), path)
    }
    throw bad(`unexpected ${JSON.stringify(token)}`)
  }
  const expression = parsePipe()
  if (position < tokens.length) throw bad(`unexpected ${JSON.stringify(tokens[position])}`)
  return expression
}

function lookUp(value: Value, path: readonly string[]): Value {
  let current = value
  for (const name of path) {
    if (current === undefined || current === null) return undefined
    const object = current as Record<string, unknown>
    if (typeof current !== 'object' || !(name in object))
      throw new TcomposeError('INVALID', `can't evaluate field ${name} in this template`, {
        hint: typeof current === 'object' ? `fields are: ${Object.keys(object).join(', ')}` : undefined,
      })
    const field = object[name]
    current = typeof field === 'function' ? (field as () => unknown).call(current) : field
  }
  return current
}

function truthy(value: Value): boolean {
  if (Array.isArray(value)) return value.length > 0
  if (value !== null && typeof value === 'object') return Object.keys(value).length > 0
  return Boolean(value)
}

function show(value: Value): string {
  if (value === undefined || value === null) return '<no value>'
  if (Array.isArray(value)) return `[${value.map(show).join(' ')}]`
  if (typeof value === 'object') {
    return `map[${Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => `${key}:${show(item)}`)
      .join(' ')}]`
  }
  return String(value)
}

function compare(a: Value, b: Value): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  return String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0
}

const FUNCTIONS: Readonly<Record<string, ((...args: Value[]) => Value) | undefined>> = {
  json: (value) => JSON.stringify(value),
  join: (list, separator) => (list as unknown[]).map(show).join(show(separator)),
  split: (text, separator) => show(text).split(show(separator)),
  upper: (text) => show(text).toUpperCase(),
  lower: (text) => show(text).toLowerCase(),
  title: (text) => show(text).replace(/\b\w/g, (letter) => letter.toUpperCase()),
  truncate: (text, length) => show(text).slice(0, Number(length)),
  pad: (text, before, after) => ' '.repeat(Number(before)) + show(text) + ' '.repeat(Number(after)),
  len: (value) =>
    Array.isArray(value)
      ? value.length
      : typeof value === 'object' && value !== null
        ? Object.keys(value).length
        : show(value).length,
  index: (value, ...keys) =>
    keys.reduce((current: Value, key) => (current as Record<string, unknown> | undefined)?.[key as string], value),
  print: (...values) => values.map(show).join(''),
  println: (...values) => `${values.map(show).join(' ')}\n`,
  printf: (format, ...values) => {
    let next = 0
    return show(format).replace(/%(-?\d*)([sdvqt%])/g, (_whole, width: string, verb: string) => {
      if (verb === '%') return '%'
      const value = values[next++]
      const text = verb === 'q' ? JSON.stringify(show(value)) : show(value)
      return width.startsWith('-') ? text.padEnd(Number(width.slice(1))) : text.padStart(Number(width || 0))
    })
  },
  and: (...values) => (values.every(truthy) ? values.at(-1) : values.find((value) => !truthy(value))),
  or: (...values) => values.find(truthy) ?? values.at(-1),
  not: (value) => !truthy(value),
  eq: (a, ...others) => others.some((b) => a === b || show(a) === show(b)),
  ne: (a, b) => show(a) !== show(b),
  lt: (a, b) => compare(a, b) < 0,
  le: (a, b) => compare(a, b) <= 0,
  gt: (a, b) => compare(a, b) > 0,
  ge: (a, b) => compare(a, b) >= 0,
}
