/** Words between blanks; quotes mean nothing. */
export function splitWhitespace(text: string): string[] {
  return text === '' ? [] : text.split(/[\t\v\f\r ]+/)
}

/** Words between blanks that are neither quoted nor escaped; quotes and escapes stay. */
export function splitWords(text: string, escapeToken: string): string[] {
  const words: string[] = []
  let word: string | undefined
  let quote: string | undefined
  const characters = [...text]
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] as string
    if (quote === undefined && /\s/.test(character)) {
      if (word !== undefined && word !== '') words.push(word)
      word = undefined
      continue
    }
    word ??= ''
    if (quote === undefined && (character === "'" || character === '"')) quote = character
    else if (quote === character) quote = undefined
    // In single quotes the escape character means nothing.
    if (character === escapeToken && quote !== "'") {
      const following = characters[++i]
      if (following === undefined) break
      word += character + following
      continue
    }
    word += character
  }
  if (word !== undefined && word !== '') words.push(word)
  return words
}

/** Takes `--name[=value]` words off the front, quotes and escapes resolved, up to `--` or the first other word. */
export function splitFlags(line: string): { readonly flags: readonly string[]; readonly rest: string } {
  const flags: string[] = []
  let at = 0
  for (;;) {
    while (at < line.length && /\s/.test(line[at] as string)) at++
    if (!line.startsWith('--', at)) return { flags, rest: line.slice(at) }
    let word = ''
    let quote: string | undefined
    for (; at < line.length; at++) {
      const character = line[at] as string
      if (quote === undefined && /\s/.test(character)) break
      if (character === '\\') {
        if (at + 1 < line.length) word += line[++at]
        continue
      }
      if (quote === undefined && (character === "'" || character === '"')) quote = character
      else if (quote === character) quote = undefined
      else word += character
    }
    if (word === '--') return { flags, rest: line.slice(at) }
    flags.push(word)
  }
}
