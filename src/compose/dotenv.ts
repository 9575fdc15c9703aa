import { TcomposeError } from '../base/errors.ts'
import { substitute, TemplateError } from './template.ts'

export interface DotenvOptions {
  /** Name of the file, for errors. */
  readonly file: string
  /** Variables from outside; they win over those of the file itself in `$NAME`. */
  readonly get: (name: string) => string | undefined
  /** `format: raw`: `KEY=everything up to the end of the line`, no quotes, no variables. */
  readonly raw?: boolean
  readonly onUnset?: (name: string) => void
}

/**
 * Reads an env file in the dialect of Compose: `KEY=value`, `KEY: value`, `export KEY=…`, single quotes (literal), double
 * quotes (escapes and variables, several lines), ` # comment` after an unquoted value; a key alone takes the value from
 * outside and is left out when there is none.
 * @throws TcomposeError INVALID `failed to read FILE: line N: …`
 */
export function parseDotenv(text: string, options: DotenvOptions): Map<string, string> {
  const source = text.replace(/^\ufeff/, '').replaceAll('\r\n', '\n')
  return options.raw ? parseRaw(source) : new Parser(source, options).parse()
}

function parseRaw(source: string): Map<string, string> {
  const values = new Map<string, string>()
  for (const line of source.split('\n')) {
    if (line.trim() === '' || line.trimStart().startsWith('#')) continue
    const at = line.indexOf('=')
    if (at > 0)
      values.set(
        line
          .slice(0, at)
          .trim()
          .replace(/^export\s+/, ''),
        line.slice(at + 1),
      )
  }
  return values
}

const BLANK = /[\t\v\f\r \u0085\u00a0]/
const KEY_CHARACTER = /[\p{L}\p{N}_.\-[\]]/u
const ESCAPE = /\\([abcfnrtv$"\\]|0\d{0,3})/g
const ESCAPED: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '"': '"',
  '\\': '\\',
}

class Parser {
  private readonly values = new Map<string, string>()
  private readonly source: string
  private readonly options: DotenvOptions
  private at = 0

  constructor(source: string, options: DotenvOptions) {
    this.source = source
    this.options = options
  }

  parse(): Map<string, string> {
    for (this.skipToStatement(); this.at < this.source.length; this.skipToStatement()) {
      const { key, hasValue } = this.readKey()
      if (!hasValue) {
        const inherited = this.options.get(key)
        if (inherited !== undefined) this.values.set(key, inherited)
        continue
      }
      this.values.set(key, this.readValue())
    }
    return this.values
  }

  private skipToStatement(): void {
    for (;;) {
      while (this.at < this.source.length && /\s/.test(this.source[this.at] as string)) this.at++
      if (this.source[this.at] !== '#') return
      this.at = this.lineEnd()
    }
  }

  private lineEnd(): number {
    const end = this.source.indexOf('\n', this.at)
    return end < 0 ? this.source.length : end
  }

  private skipBlanks(): void {
    while (this.at < this.source.length && BLANK.test(this.source[this.at] as string)) this.at++
  }

  private readKey(): { readonly key: string; readonly hasValue: boolean } {
    const exported = /^export\s+/.exec(this.source.slice(this.at, this.at + 64))
    if (exported) this.at += exported[0].length
    const start = this.at
    let end = this.source.length
    let hasValue = false
    for (let index = start; index < this.source.length; index++) {
      const character = this.source[index] as string
      if (BLANK.test(character)) continue
      if (character === '=' || character === ':' || character === '\n') {
        end = index
        hasValue = character !== '\n'
        break
      }
      if (!KEY_CHARACTER.test(character)) {
        throw this.fail(
          start,
          `unexpected character ${JSON.stringify(character)} in variable name ${JSON.stringify(this.source.slice(start, this.lineEnd()))}`,
        )
      }
    }
    const key = this.source.slice(start, end).trimEnd()
    if (key.includes(' ')) throw this.fail(start, 'key cannot contain a space', 'write KEY=value, and comments after #')
    this.at = Math.min(end + 1, this.source.length)
    if (hasValue) this.skipBlanks()
    return { key, hasValue }
  }

  private readValue(): string {
    const quote = this.source[this.at]
    if (quote === '"' || quote === "'") return this.readQuoted(quote)
    const end = this.lineEnd()
    const [value = ''] = this.source.slice(this.at, end).split(' #', 1)
    const start = this.at
    this.at = Math.min(end + 1, this.source.length)
    return this.expand(value.trimEnd(), start)
  }

  private readQuoted(quote: string): string {
    const start = this.at
    let value = ''
    for (let index = start + 1; index < this.source.length; index++) {
      const character = this.source[index] as string
      if (character === '\\' && index + 1 < this.source.length) {
        const next = this.source[index + 1] as string
        value += next === quote ? quote : character + next
        index++
        continue
      }
      if (character !== quote) {
        value += character
        continue
      }
      this.at = index + 1
      return quote === "'" ? value : this.expand(expandEscapes(value), start)
    }
    throw this.fail(
      start,
      `unterminated quoted value ${this.source.slice(start, this.lineEnd())}`,
      `close it with ${quote}`,
    )
  }

  private expand(value: string, offset: number): string {
    const { get, onUnset } = this.options
    try {
      return substitute(value, { get: (name) => get(name) ?? this.values.get(name), ...(onUnset ? { onUnset } : {}) })
    } catch (error) {
      if (error instanceof TemplateError) throw this.fail(offset, error.message, undefined, error.kind === 'required')
      throw error
    }
  }

  private fail(offset: number, message: string, hint?: string, isPlain = false): TcomposeError {
    const line = this.source.slice(0, offset).split('\n').length
    return new TcomposeError(
      'INVALID',
      `failed to read ${this.options.file}: ${isPlain ? '' : `line ${line}: `}${message}`,
      {
        at: `${this.options.file}:${line}`,
        hint,
      },
    )
  }
}

/** Escapes of double quotes; `\$` becomes `$$`, which the variables' own pass turns into `$`. */
function expandEscapes(value: string): string {
  return value.replace(ESCAPE, (whole, code: string) => {
    if (code === '$') return '$$'
    if (code.startsWith('0') && code.length === 4) return String.fromCharCode(Number.parseInt(code.slice(1), 8) & 0xff)
    return ESCAPED[code] ?? whole
  })
}
