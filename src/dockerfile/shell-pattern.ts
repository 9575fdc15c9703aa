/**
 * A pattern of `*`, `?` and `\` escapes as a regular expression source. Nothing else is special: `[` is a bracket.
 * @throws Error for an escape of anything but `*`, `?`, `\`, `}` and `/`
 */
function sourceOf(pattern: readonly string[], greedy: boolean): string {
  let out = ''
  for (const token of pattern) {
    if (token === '*') out += greedy ? '.*' : '.*?'
    else if (token === '?') out += '.'
    else out += token.slice(-1).replace(/[\\*?[\]{}.+()|^$/]/, '\\$&')
  }
  return out
}

/** One entry per element: `*`, `?`, a literal character, or an escaped one with its backslash. */
function tokensOf(pattern: string): string[] {
  const tokens: string[] = []
  const characters = [...pattern]
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] as string
    if (character !== '\\') {
      tokens.push(character)
      continue
    }
    const escaped = characters[++i]
    if (escaped === undefined || !'*?\\}/'.includes(escaped)) {
      throw new Error(`invalid escape '\\${escaped ?? ''}'`)
    }
    tokens.push(`\\${escaped}`)
  }
  return tokens
}

/** `${v#pattern}`, with `greedy` `${v##pattern}`. */
export function trimPrefix(value: string, pattern: string, greedy: boolean): string {
  const found = new RegExp(`^${sourceOf(tokensOf(pattern), greedy)}`, 'u').exec(value)
  return found ? value.slice(found[0].length) : value
}

/** `${v%pattern}`, with `greedy` `${v%%pattern}`: the same from behind. */
export function trimSuffix(value: string, pattern: string, greedy: boolean): string {
  const reversed = [...value].toReversed().join('')
  const found = new RegExp(`^${sourceOf(tokensOf(pattern).toReversed(), greedy)}`, 'u').exec(reversed)
  return found ? value.slice(0, value.length - found[0].length) : value
}

/** `${v/pattern/replacement}`, with `all` `${v//pattern/replacement}`. */
export function replacePattern(value: string, pattern: string, replacement: string, all: boolean): string {
  return value.replace(new RegExp(sourceOf(tokensOf(pattern), true), all ? 'gu' : 'u'), () => replacement)
}
