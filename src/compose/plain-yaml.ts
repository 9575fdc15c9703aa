import { plainValue } from './plain-value.ts'
import type { Draft, Tree, TreeMap } from './tree.ts'

/**
 * Reads the YAML that nearly all compose files are written in (block mappings and lists, scalars and flow collections on
 * one line), some twenty times as fast as a parser that keeps everything. Whatever goes beyond that, and whatever may be
 * wrong, is given up: the whole parser then reads the file, and explains its mistakes.
 * @returns undefined when it is given up
 */
export function parsePlainYaml(text: string): Tree | undefined {
  // Other line breaks and controls have rules of their own; tabs, carriage returns and document marks too.
  if (/[\t\r\u0000-\u0009\u000b-\u001f\u007f-\u00a0\u2028\u2029\ufeff\ufffe\uffff]|^(---|\.\.\.|%)/m.test(text))
    return undefined
  const reader = new Reader(text)
  try {
    return reader.read()
  } catch (error) {
    if (error instanceof GiveUp) return undefined
    throw error
  }
}

class GiveUp extends Error {}

const MAX_DEPTH = 60
const KEY = /^([A-Za-z_./][\w./-]*|"[^"\\]*"|'[^']*')\s*:(?: +|$)/
const STARTS_PLAIN = /^(?:[^\s\-?:,[\]{}#&*!|>'"%@`]|[-?:](?=[^\s,[\]{}]))/

interface Line {
  indent: number
  content: string
}

class Reader {
  private readonly lines: Line[] = []
  private at = 0

  constructor(text: string) {
    for (const line of text.split('\n')) {
      let indent = 0
      while (line.charCodeAt(indent) === 32) indent++
      if (indent === line.length || line.charCodeAt(indent) === 35) continue
      this.lines.push({ indent, content: line.slice(indent).trimEnd() })
    }
  }

  read(): Tree | undefined {
    const [first] = this.lines
    if (!first) return undefined
    const tree = this.block(first.indent, 0)
    if (this.at < this.lines.length) throw new GiveUp()
    return tree
  }

  private block(indent: number, depth: number): Tree {
    if (depth > MAX_DEPTH) throw new GiveUp()
    const content = this.lines[this.at]?.content ?? ''
    return isItem(content) ? this.sequence(indent, depth) : this.mapping(indent, depth)
  }

  private mapping(indent: number, depth: number): TreeMap {
    const out: Draft = {}
    for (;;) {
      const line = this.lines[this.at]
      if (!line || line.indent < indent) return out
      if (line.indent > indent) throw new GiveUp()
      if (isItem(line.content)) return out
      const match = KEY.exec(line.content)
      if (!match) throw new GiveUp()
      const key = keyOf(match[1] as string)
      if (Object.hasOwn(out, key)) throw new GiveUp()
      this.at++
      out[key] = this.value(line.content.slice(match[0].length), indent, depth, true)
    }
  }

  private sequence(indent: number, depth: number): readonly Tree[] {
    const out: Tree[] = []
    for (;;) {
      const line = this.lines[this.at]
      if (!line || line.indent < indent) return out
      if (line.indent > indent) throw new GiveUp()
      if (!isItem(line.content)) return out
      const rest = line.content.slice(1).trimStart()
      if (rest !== '' && (isItem(rest) || KEY.test(rest))) {
        // A collection that starts on the line of its dash.
        line.indent = indent + line.content.length - rest.length
        line.content = rest
        out.push(this.block(line.indent, depth + 1))
        continue
      }
      this.at++
      out.push(this.value(rest, indent, depth, false))
    }
  }

  /** What stands behind a key or a dash, or on the lines below it. */
  private value(text: string, indent: number, depth: number, isKey: boolean): Tree {
    const next = this.lines[this.at]
    if (text === '' || text.startsWith('#')) {
      if (!next || next.indent < indent) return null
      // A list may stand in the column of its key.
      if (next.indent === indent) return isKey && isItem(next.content) ? this.sequence(indent, depth + 1) : null
      return this.block(next.indent, depth + 1)
    }
    // Deeper lines would go on with this value.
    if (next && next.indent > indent) throw new GiveUp()
    return new Inline(text, depth).read()
  }
}

function isItem(content: string): boolean {
  return content === '-' || content.startsWith('- ')
}

function keyOf(text: string): string {
  if (text.startsWith('"') || text.startsWith("'")) {
    const key = text.slice(1, -1)
    if (key === '<<' || key === '__proto__') throw new GiveUp()
    return key
  }
  // A key that would be a number, a boolean or nothing is for the whole parser to refuse.
  if (text === '__proto__' || typeof plainValue(text) !== 'string') throw new GiveUp()
  return text
}

/** A value on one line. */
class Inline {
  private readonly text: string
  private readonly depth: number
  private at = 0

  constructor(text: string, depth: number) {
    this.text = text
    this.depth = depth
  }

  read(): Tree {
    const first = this.text[0]
    if (first === '"' || first === "'") return this.finish(this.quoted())
    if (first === '[' || first === '{') return this.finish(this.flow(this.depth))
    if (!STARTS_PLAIN.test(this.text)) throw new GiveUp()
    const comment = this.text.indexOf(' #')
    const plain = (comment < 0 ? this.text : this.text.slice(0, comment)).trimEnd()
    if (plain.includes(': ') || plain.endsWith(':')) throw new GiveUp()
    return plainValue(plain)
  }

  /** Behind a closed value only a comment may stand. */
  private finish(value: Tree): Tree {
    const rest = this.text.slice(this.at)
    if (rest.trim() !== '' && !/^ +#/.test(rest)) throw new GiveUp()
    return value
  }

  private quoted(): string {
    const quote = this.text[this.at] as string
    let out = ''
    for (let from = this.at + 1; ; ) {
      const end = this.text.indexOf(quote, from)
      if (end < 0) throw new GiveUp()
      out += this.text.slice(from, end)
      if (quote === "'" && this.text[end + 1] === "'") {
        out += "'"
        from = end + 2
        continue
      }
      this.at = end + 1
      // Escapes are for the whole parser.
      if (quote === '"' && out.includes('\\')) throw new GiveUp()
      return out
    }
  }

  private flow(depth: number): Tree {
    if (depth > MAX_DEPTH) throw new GiveUp()
    return this.text[this.at] === '[' ? this.flowList(depth) : this.flowMap(depth)
  }

  private flowList(depth: number): readonly Tree[] {
    const out: Tree[] = []
    this.at++
    for (;;) {
      this.skipSpaces()
      if (this.text[this.at] === ']') {
        this.at++
        return out
      }
      out.push(this.flowValue(depth))
      this.skipSpaces()
      if (this.text[this.at] === ',') this.at++
      else if (this.text[this.at] !== ']') throw new GiveUp()
    }
  }

  private flowMap(depth: number): TreeMap {
    const out: Draft = {}
    this.at++
    for (;;) {
      this.skipSpaces()
      if (this.text[this.at] === '}') {
        this.at++
        return out
      }
      const match = /^[A-Za-z_][\w.-]*(?=:(?: |$))/.exec(this.text.slice(this.at))
      if (!match) throw new GiveUp()
      const key = keyOf(match[0])
      if (Object.hasOwn(out, key)) throw new GiveUp()
      this.at += key.length + 1
      this.skipSpaces()
      out[key] = this.flowValue(depth)
      this.skipSpaces()
      if (this.text[this.at] === ',') this.at++
      else if (this.text[this.at] !== '}') throw new GiveUp()
    }
  }

  private flowValue(depth: number): Tree {
    const first = this.text[this.at]
    if (first === '[' || first === '{') return this.flow(depth + 1)
    if (first === '"' || first === "'") return this.quoted()
    const match = /^[^\s,[\]{}:#&*!|>'"%@`?-][^,[\]{}:#]*/.exec(this.text.slice(this.at))
    if (!match || match[0].includes('"') || match[0].includes("'")) throw new GiveUp()
    this.at += match[0].length
    return plainValue(match[0].trimEnd())
  }

  private skipSpaces(): void {
    while (this.text[this.at] === ' ') this.at++
  }
}
