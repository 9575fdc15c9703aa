import { TcomposeError } from '../base/errors.ts'

/** A parser directive or a front end's `syntax`/`check` line. */
export interface Directive {
  readonly value: string
  /** From 1; 0 when it stands in a JSON document. */
  readonly line: number
}

const KNOWN = new Set(['escape', 'syntax', 'check'])

/** Reads directives line by line, at the top of a file until the first line that is none. */
export function createDirectiveReader(comment = '#'): {
  /** @throws TcomposeError INVALID for one that is given twice */
  read(line: string): { readonly name: string; readonly value: string } | undefined
} {
  const pattern = new RegExp(`^${comment}\\s*([a-zA-Z][a-zA-Z0-9]*)\\s*=\\s*(.+?)\\s*$`)
  const seen = new Set<string>()
  let done = false
  return {
    read(line) {
      if (done) return undefined
      const match = pattern.exec(line)
      const name = match?.[1]?.toLowerCase() ?? ''
      if (!match || !KNOWN.has(name)) {
        done = true
        return undefined
      }
      if (seen.has(name)) throw new TcomposeError('INVALID', `only one ${name} parser directive can be used`)
      seen.add(name)
      return { name, value: match[2] as string }
    },
  }
}

/** The directives in the usual form at the top of a file, in order. @throws TcomposeError INVALID */
export function readDirectives(text: string): readonly { readonly name: string; readonly value: string }[] {
  const reader = createDirectiveReader()
  const found = []
  for (const line of text.split('\n')) {
    const directive = reader.read(line.replace(/^[ \t]+|\r$/g, ''))
    if (!directive) break
    found.push(directive)
  }
  return found
}

/** The `syntax` of a file, in any of its forms: `# syntax=`, `// syntax=`, `{"syntax": …}`, after a `#!` line too. */
export function detectSyntax(text: string): Directive | undefined {
  const { lines, offset, body } = withoutShebang(text)
  const found = detect('syntax', lines, offset, '#') ?? detect('syntax', lines, offset, '//')
  if (found) return found
  try {
    const document: unknown = JSON.parse(body)
    const value = (document as { readonly syntax?: unknown } | null)?.syntax
    return typeof value === 'string' ? { value, line: 0 } : undefined
  } catch {
    return undefined
  }
}

/** The `check` of a file: `skip=A,B|all;error=true;experimental=…`. */
export function detectCheck(text: string): Directive | undefined {
  const { lines, offset } = withoutShebang(text)
  return detect('check', lines, offset, '#')
}

export interface CheckOptions {
  /** Names of rules, or `all`. */
  readonly skip: readonly string[]
  readonly error: boolean
  readonly experimental: readonly string[]
}

/** @throws TcomposeError INVALID for a key or a boolean that is none */
export function parseCheckOptions(text: string): CheckOptions {
  let [skip, error, experimental]: [readonly string[], boolean, readonly string[]] = [[], false, []]
  for (const part of (text.split(/\s/)[0] ?? '').split(';')) {
    if (part.trim() === '') continue
    const [key = '', value] = splitOnce(part, '=')
    if (value === undefined) throw new TcomposeError('INVALID', `invalid check option ${JSON.stringify(part)}`)
    const list = value.split(',').map((item) => item.trim())
    switch (key.trim()) {
      case 'skip':
        skip = list
        break
      case 'experimental':
        experimental = list
        break
      case 'error':
        if (value !== 'true' && value !== 'false') {
          throw new TcomposeError('INVALID', `failed to parse check option "error": ${JSON.stringify(value)}`)
        }
        error = value === 'true'
        break
      default:
        throw new TcomposeError('INVALID', `invalid check option ${JSON.stringify(key)}`)
    }
  }
  return { skip, error, experimental }
}

function splitOnce(text: string, by: string): [string, string | undefined] {
  const at = text.indexOf(by)
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + by.length)]
}

function withoutShebang(text: string): { lines: readonly string[]; offset: number; body: string } {
  const body = text.replace(/^\ufeff/, '')
  const lines = body.split('\n')
  return body.startsWith('#!') ? { lines: lines.slice(1), offset: 1, body } : { lines, offset: 0, body }
}

function detect(key: string, lines: readonly string[], offset: number, comment: string): Directive | undefined {
  const reader = createDirectiveReader(comment)
  for (const [index, line] of lines.entries()) {
    const directive = reader.read(line.replace(/\r$/, ''))
    if (!directive) return undefined
    if (directive.name === key) return { value: directive.value, line: index + 1 + offset }
  }
  return undefined
}
