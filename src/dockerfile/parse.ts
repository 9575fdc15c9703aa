import { TcomposeError } from '../base/errors.ts'
import { createDirectiveReader } from './directives.ts'
import { type Heredoc, heredocsOf } from './heredoc.ts'
import { splitFlags, splitWhitespace, splitWords } from './words.ts'

/** An instruction as it stands in the file, before it is given a type. */
export interface Node {
  /** Lower case: `run`. */
  readonly instruction: string
  /** As written: `Run`. */
  readonly written: string
  /** Words; for ENV and LABEL triples of key, value and `=` or '' (the legacy form). */
  readonly args: readonly string[]
  /** `--name[=value]`, quotes taken off. */
  readonly flags: readonly string[]
  /** The arguments were a JSON array. */
  readonly json: boolean
  readonly heredocs: readonly Heredoc[]
  /** The instruction inside an ONBUILD. */
  readonly onbuild: Node | undefined
  /** The line with its continuations joined. */
  readonly original: string
  readonly startLine: number
  readonly endLine: number
  /** Comment lines right above it. */
  readonly comments: readonly string[]
}

export interface ParseWarning {
  readonly short: string
  readonly line: number
}

export interface Ast {
  readonly escape: string
  readonly nodes: readonly Node[]
  readonly warnings: readonly ParseWarning[]
}

/** Longest line that is read, in bytes. */
const MAX_LINE_BYTES = 65_535

/** Makes the error for a line of the Dockerfile. */
export type Fail = (line: number, message: string) => TcomposeError

export function failIn(file: string): Fail {
  return (line, message) => new TcomposeError('INVALID', message, { at: `${file}:${line}` })
}

/**
 * Text → instructions, continuations joined, here-documents read, flags and words split.
 * @param file shown in errors
 * @throws TcomposeError INVALID with `at`
 */
export function parseDockerfile(text: string, file = 'Dockerfile'): Ast {
  const fail = failIn(file)
  const lines = linesOf(text)
  const directives = createDirectiveReader()
  const nodes: Node[] = []
  const warnings: ParseWarning[] = []
  let escapeToken = '\\'
  let comments: string[] = []
  let at = 0

  const next = (): string | undefined => {
    const line = lines[at]
    if (line === undefined) return undefined
    at++
    if (line.length > MAX_LINE_BYTES / 4 && Buffer.byteLength(line) > MAX_LINE_BYTES) {
      throw fail(at, `dockerfile line greater than max allowed size of ${MAX_LINE_BYTES}`)
    }
    return line
  }

  for (let raw = next(); raw !== undefined; raw = next()) {
    const startLine = at
    const stripped = raw.trimStart()
    if (stripped.startsWith('#')) comments.push(stripped.slice(1).trim())
    else if (stripped.trim() === '') comments = []
    const directive = onLine(fail, startLine, () => directives.read(withoutNewline(stripped)))
    if (directive) comments = []
    if (directive?.name === 'escape') escapeToken = checkedEscape(directive.value, fail, startLine)
    if (stripped.startsWith('#')) continue
    let joined = continuationOf(withoutNewline(stripped), escapeToken)
    let line = joined.text
    if (!joined.more && line === '') continue
    let emptyContinuation = false
    while (joined.more) {
      const following = next()
      if (following === undefined) break
      if (following.trimStart().startsWith('#')) continue
      if (following.trim() === '') {
        emptyContinuation = true
        continue
      }
      joined = continuationOf(withoutNewline(following), escapeToken)
      line += joined.text
    }
    if (emptyContinuation) warnings.push({ short: `Empty continuation line found in: ${line}`, line: at })
    const node = onLine(fail, startLine, () => nodeOf(line, escapeToken, comments))
    const target = node.onbuild ?? node
    const heredocs: Heredoc[] = []
    if (['run', 'copy', 'add'].includes(target.instruction) && !target.json && line.includes('<<')) {
      for (const heredoc of onLine(fail, startLine, () => heredocsOf(line))) {
        let content = ''
        for (;;) {
          const body = next()
          if (body === undefined) throw fail(startLine, 'unterminated heredoc')
          const end = heredoc.chomp ? withoutNewline(body).replace(/^\t+/, '') : withoutNewline(body)
          if (end === heredoc.name) break
          content += body
        }
        heredocs.push({ ...heredoc, content })
      }
    }
    nodes.push({ ...node, heredocs, startLine, endLine: at })
    comments = []
  }
  if (nodes.length === 0) throw new TcomposeError('INVALID', 'file with no instructions', { at: file })
  return { escape: escapeToken, nodes, warnings }
}

/** Parses one instruction on its own, as ONBUILD triggers of images are. @throws TcomposeError INVALID */
export function parseInstructionText(text: string, file: string): Node {
  const { nodes } = parseDockerfile(text, file)
  const [node] = nodes
  if (!node || nodes.length !== 1) throw new TcomposeError('INVALID', 'onbuild trigger should be a single expression')
  return node
}

/** Lines with their line feeds; a byte order mark is dropped. */
function linesOf(text: string): string[] {
  const lines = text.replace(/^\ufeff/, '').split(/(?<=\n)/)
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines
}

function withoutNewline(line: string): string {
  return line.replace(/[\r\n]+$/, '')
}

function checkedEscape(value: string, fail: Fail, line: number): string {
  if (value === '\\' || value === '`') return value
  throw fail(line, `invalid escape token '${value}' does not match \` or \\`)
}

/** A line ends with a continuation when a single escape character stands before its end, blanks aside. */
function continuationOf(line: string, escapeToken: string): { readonly text: string; readonly more: boolean } {
  const body = line.replace(/[ \t]+$/, '')
  if (!body.endsWith(escapeToken) || body.endsWith(escapeToken + escapeToken)) return { text: line, more: false }
  return { text: body.slice(0, -1), more: true }
}

/** Gives errors of text that knows nothing of lines the line they belong to. */
export function onLine<T>(fail: Fail, line: number, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof TcomposeError && error.at === undefined) throw fail(line, error.message)
    throw error
  }
}

function nodeOf(line: string, escapeToken: string, comments: readonly string[]): Node {
  const text = line.trim()
  const [, written = '', rest = ''] = /^(\S*)\s*([\s\S]*)$/.exec(text) ?? []
  const { flags, rest: args } = splitFlags(rest)
  const instruction = written.toLowerCase()
  const parsed = argumentsOf(instruction, args.trim(), escapeToken)
  return {
    instruction,
    written,
    args: parsed.args,
    flags,
    json: parsed.json ?? false,
    heredocs: [],
    onbuild: parsed.onbuild,
    original: line,
    startLine: 0,
    endLine: 0,
    comments,
  }
}

interface Arguments {
  readonly args: readonly string[]
  readonly json?: boolean
  readonly onbuild?: Node | undefined
}

function argumentsOf(instruction: string, rest: string, escapeToken: string): Arguments {
  switch (instruction) {
    case 'run':
    case 'cmd':
    case 'entrypoint':
    case 'shell':
      return jsonOf(rest) ?? { args: rest === '' ? [] : [rest] }
    case 'add':
    case 'copy':
    case 'volume':
      return jsonOf(rest) ?? { args: splitWhitespace(rest) }
    case 'expose':
    case 'from':
      return { args: splitWhitespace(rest) }
    case 'arg':
      return { args: splitWords(rest, escapeToken) }
    case 'env':
    case 'label':
      return { args: pairsOf(instruction.toUpperCase(), rest, escapeToken) }
    case 'healthcheck':
      return healthcheckOf(rest)
    case 'maintainer':
    case 'stopsignal':
    case 'user':
    case 'workdir':
      return { args: rest === '' ? [] : [rest] }
    case 'onbuild':
      return { args: [], onbuild: rest === '' ? undefined : nodeOf(rest, escapeToken, []) }
    default:
      // Nobody knows what its words mean; the instruction itself is refused later.
      return { args: [''] }
  }
}

/** @throws TcomposeError INVALID for an array with anything but strings; undefined when it is no JSON array */
function jsonOf(rest: string): Arguments | undefined {
  if (!rest.startsWith('[')) return undefined
  let value: unknown
  try {
    value = JSON.parse(rest)
  } catch {
    return undefined
  }
  if (!Array.isArray(value)) return undefined
  if (!value.every((item) => typeof item === 'string')) {
    throw new TcomposeError('INVALID', 'when using JSON array syntax, arrays must be comprised of strings only')
  }
  return { args: value, json: true }
}

function pairsOf(key: string, rest: string, escapeToken: string): readonly string[] {
  const words = splitWords(rest, escapeToken)
  const [first] = words
  if (first === undefined) return []
  if (!first.includes('=')) {
    const [, name = '', value] = /^(\S+)\s+([\s\S]*)$/.exec(rest) ?? []
    if (value === undefined) throw new TcomposeError('INVALID', `${key} must have two arguments`)
    return [name, value, '']
  }
  return words.flatMap((word) => {
    const at = word.indexOf('=')
    if (at < 0) {
      throw new TcomposeError(
        'INVALID',
        `Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`,
      )
    }
    return [word.slice(0, at), word.slice(at + 1), '=']
  })
}

function healthcheckOf(rest: string): Arguments {
  const [, type = '', command = ''] = /^(\S*)\s*([\s\S]*)$/.exec(rest) ?? []
  if (type === '') return { args: [] }
  const parsed = jsonOf(command) ?? { args: command === '' ? [] : [command] }
  return { ...parsed, args: [type, ...parsed.args] }
}
