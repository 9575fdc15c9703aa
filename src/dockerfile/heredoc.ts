import { expand } from './expand.ts'

/** A here-document: `[fd]<<[-]WORD` on the line, and the lines up to WORD. */
export interface Heredoc {
  readonly name: string
  readonly fd: number
  /** Leading tabs are taken off the lines (`<<-`). */
  readonly chomp: boolean
  /** Variables in the body are expanded: no part of the word was quoted. */
  readonly expand: boolean
  /** The body as it stands, each line with its line feed. */
  readonly content: string
}

const HEREDOC = /^(\d*)<<(-?)\s*([^<]*)$/

/** Reads one word as the start of a here-document. @throws TcomposeError INVALID for an open quote */
export function parseHeredocWord(word: string): Omit<Heredoc, 'content'> | undefined {
  const match = HEREDOC.exec(word)
  const rest = match?.[3] ?? ''
  if (!match || rest === '') return undefined
  const unset = () => undefined
  const plain = expand(rest, unset, { skipUnset: true }).words
  if (plain.length !== 1) return undefined
  const quoted = expand(rest, unset, { skipUnset: true, rawQuotes: true }).words
  if (quoted.length !== 1) return undefined
  const name = plain[0] as string
  return { name, fd: Number(match[1] || 0), chomp: match[2] === '-', expand: name === quoted[0] }
}

/** The here-documents that a line announces, in order. @throws TcomposeError INVALID */
export function heredocsOf(line: string): readonly Omit<Heredoc, 'content'>[] {
  let words: readonly string[]
  try {
    words = expand(line, () => undefined, { skipUnset: true, rawQuotes: true, rawEscapes: true }).words
  } catch {
    // An open quote is the shell's business, not ours.
    return []
  }
  const found: Omit<Heredoc, 'content'>[] = []
  for (let i = 0; i < words.length; i++) {
    let word = words[i] as string
    if (/^\d*<<-?$/.test(word) && words[i + 1] !== undefined) word += words[++i]
    const heredoc = parseHeredocWord(word)
    if (heredoc) found.push(heredoc)
  }
  return found
}

/** The body with leading tabs removed where `<<-` says so. */
export function heredocText(heredoc: Heredoc): string {
  return heredoc.chomp ? heredoc.content.replace(/^\t+/gm, '') : heredoc.content
}
