// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is the syntax that is spoken of
import { TcomposeError } from '../base/errors.ts'
import { replacePattern, trimPrefix, trimSuffix } from './shell-pattern.ts'

/** Values of variables; undefined: not set. */
export type Lookup = (name: string) => string | undefined

export interface ExpandOptions {
  /** `\` or `` ` ``. Default `\`. */
  readonly escape?: string
  /** Quotes are ordinary characters (heredoc bodies). */
  readonly skipQuotes?: boolean
  /** Quotes stay in the result. */
  readonly rawQuotes?: boolean
  /** Escape characters stay in the result. */
  readonly rawEscapes?: boolean
  /** References to what is not set stay as they are. */
  readonly skipUnset?: boolean
}

export interface Expanded {
  readonly text: string
  /** The text split at blanks that were not quoted. */
  readonly words: readonly string[]
  /** Names that were looked up and found, and those that were not. */
  readonly matched: ReadonlySet<string>
  readonly unmatched: ReadonlySet<string>
}

/**
 * Expands `$v`, `${v:-w}` and their kin as Dockerfiles understand them, and takes quotes and escapes off.
 * @throws TcomposeError INVALID `failed to process "TEXT": …`
 */
export function expand(text: string, lookup: Lookup, options: ExpandOptions = {}): Expanded {
  const matched = new Set<string>()
  const unmatched = new Set<string>()
  const scan = new Expansion(text, options, (name) => {
    const value = lookup(name)
    ;(value === undefined ? unmatched : matched).add(name)
    return value
  })
  try {
    const { result, words } = scan.until(undefined)
    return { text: result, words: words.all(), matched, unmatched }
  } catch (error) {
    if (!(error instanceof ExpansionError)) throw error
    throw new TcomposeError('INVALID', `failed to process ${JSON.stringify(text)}: ${error.message}`)
  }
}

class ExpansionError extends Error {}

const SPACE = /\s/u
const DIGIT = /\p{Nd}/u
const NAME_CHARACTER = /[\p{L}\p{Nd}_]/u
const SPECIAL = new Set(['@', '*', '#', '?', '-', '$', '!', '0'])
/** Go prints the end of input as the replacement character. */
const END = '\ufffd'

/** Collects words as the text is scanned. */
class Words {
  readonly #words: string[] = []
  #word = ''
  #inWord = false

  add(text: string): void {
    for (const character of text) {
      if (!SPACE.test(character)) this.addRaw(character)
      else if (this.#inWord && this.#word !== '') {
        this.#words.push(this.#word)
        this.#word = ''
        this.#inWord = false
      }
    }
  }

  addRaw(text: string): void {
    this.#word += text
    this.#inWord = true
  }

  all(): readonly string[] {
    return this.#word === '' ? this.#words : [...this.#words, this.#word]
  }
}

class Expansion {
  readonly #text: readonly string[]
  readonly #options: ExpandOptions
  readonly #lookup: Lookup
  readonly #escape: string
  #rawEscapes: boolean
  #at = 0

  constructor(text: string, options: ExpandOptions, lookup: Lookup) {
    this.#text = [...text]
    this.#options = options
    this.#lookup = lookup
    this.#escape = options.escape ?? '\\'
    this.#rawEscapes = options.rawEscapes ?? false
  }

  #peek(): string | undefined {
    return this.#text[this.#at]
  }

  #next(): string | undefined {
    return this.#text[this.#at++]
  }

  /** Up to `stop`, which is taken too; undefined: to the end. */
  until(stop: string | undefined): { readonly result: string; readonly words: Words } {
    const words = new Words()
    let result = ''
    for (let character = this.#peek(); character !== undefined; character = this.#peek()) {
      if (character === stop) {
        this.#next()
        return { result, words }
      }
      if (character === '$') {
        const value = this.#dollar()
        result += value
        words.add(value)
        continue
      }
      if (!this.#options.skipQuotes && (character === "'" || character === '"')) {
        const value = character === "'" ? this.#singleQuoted() : this.#doubleQuoted()
        result += value
        words.addRaw(value)
        continue
      }
      this.#next()
      if (character !== this.#escape) {
        result += character
        words.add(character)
        continue
      }
      if (this.#rawEscapes) {
        result += character
        words.addRaw(character)
      }
      const escaped = this.#next()
      if (escaped === undefined) break
      result += escaped
      words.addRaw(escaped)
    }
    if (stop !== undefined) {
      throw new ExpansionError(`unexpected end of statement while looking for matching ${stop}`)
    }
    return { result, words }
  }

  #untilRaw(stop: string, raw: boolean, missing: string): string {
    const before = this.#rawEscapes
    this.#rawEscapes = raw
    try {
      return this.until(stop).result
    } catch (error) {
      if (error instanceof ExpansionError && this.#peek() === undefined) throw new ExpansionError(missing)
      throw error
    } finally {
      this.#rawEscapes = before
    }
  }

  #singleQuoted(): string {
    let result = ''
    const quote = this.#options.rawQuotes ? "'" : ''
    this.#next()
    for (;;) {
      const character = this.#next()
      if (character === undefined) {
        throw new ExpansionError('unexpected end of statement while looking for matching single-quote')
      }
      if (character === "'") return quote + result + quote
      result += character
    }
  }

  #doubleQuoted(): string {
    let result = ''
    const quote = this.#options.rawQuotes ? '"' : ''
    this.#next()
    for (;;) {
      const character = this.#peek()
      if (character === undefined) {
        throw new ExpansionError('unexpected end of statement while looking for matching double-quote')
      }
      if (character === '"') {
        this.#next()
        return quote + result + quote
      }
      if (character === '$') {
        result += this.#dollar()
        continue
      }
      this.#next()
      if (character !== this.#escape) {
        result += character
        continue
      }
      const following = this.#peek()
      if (following === undefined) continue
      if (following === '"' || following === '$' || following === this.#escape) {
        if (this.#rawEscapes) result += character
        result += this.#next()
      } else result += character
    }
  }

  #name(): string {
    const first = this.#peek()
    if (first === undefined) return ''
    let name = ''
    const take = (accept: RegExp): string => {
      for (let c = this.#peek(); c !== undefined && accept.test(c); c = this.#peek()) name += this.#next()
      return name
    }
    if (DIGIT.test(first)) return take(DIGIT)
    if (SPECIAL.has(first)) return this.#next() as string
    return take(NAME_CHARACTER)
  }

  #dollar(): string {
    this.#next()
    if (this.#peek() !== '{') {
      const name = this.#name()
      if (name === '') return '$'
      return this.#lookup(name) ?? (this.#options.skipUnset ? `$${name}` : '')
    }
    this.#next()
    const first = this.#peek()
    if (first === undefined) throw new ExpansionError("syntax error: missing '}'")
    if (first === '{' || first === '}' || first === ':') throw new ExpansionError('syntax error: bad substitution')
    return this.#braced(this.#name())
  }

  #braced(name: string): string {
    let modifier = this.#next()
    if (modifier === '}') return this.#lookup(name) ?? (this.#options.skipUnset ? `\${${name}}` : '')
    if (modifier === '/') return this.#replace(name)
    const colon = modifier === ':'
    if (colon) modifier = this.#next()
    const shown = `${colon ? ':' : ''}${modifier ?? END}`
    const unsupported = () => new ExpansionError(`unsupported modifier (${shown}) in substitution`)
    const isTrim = modifier === '#' || modifier === '%'
    if (modifier === undefined || (colon && isTrim)) throw unsupported()
    if (!colon && !['+', '-', '?', '#', '%'].includes(modifier)) throw unsupported()
    const word = this.#untilRaw('}', isTrim, "syntax error: missing '}'")
    if (!['+', '-', '?', '#', '%'].includes(modifier)) throw unsupported()
    const value = this.#lookup(name)
    const missing = value === undefined || (colon && value === '')
    if (missing && this.#options.skipUnset && value === undefined) return `\${${name}${shown}${word}}`
    switch (modifier) {
      case '-':
        return missing ? word : value
      case '+':
        return missing ? '' : word
      case '?': {
        if (!missing) return value
        const state = value === undefined ? 'unset' : 'empty'
        throw new ExpansionError(`${name}: ${word || `is not allowed to be ${state}`}`)
      }
      default: {
        const greedy = word.startsWith(modifier)
        const pattern = greedy ? word.slice(1) : word
        return patternError(() => (modifier === '#' ? trimPrefix : trimSuffix)(value ?? '', pattern, greedy))
      }
    }
  }

  #replace(name: string): string {
    const all = this.#peek() === '/'
    if (all) this.#next()
    const pattern = this.#untilRaw('/', true, "syntax error: missing '/' in ${}")
    const replacement = this.#untilRaw('}', true, "syntax error: missing '}'")
    const value = this.#lookup(name)
    if (value === undefined && this.#options.skipUnset) return `\${${name}/${all ? '/' : ''}${pattern}/${replacement}}`
    return patternError(() => replacePattern(value ?? '', pattern, replacement, all))
  }
}

function patternError(work: () => string): string {
  try {
    return work()
  } catch (error) {
    throw new ExpansionError((error as Error).message)
  }
}
