/** One challenge of a `WWW-Authenticate` header. */
export interface Challenge {
  /** In lower case: `basic`, `bearer`. */
  readonly scheme: string
  readonly parameters: Readonly<Record<string, string>>
}

/** Reads RFC 7235 challenges; several may stand in one header. What does not fit the grammar is passed over. */
export function parseChallenges(header: string): readonly Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = []
  const token = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y
  let at = 0
  const skip = () => {
    while (at < header.length && /[\s,]/.test(header[at] as string)) at++
  }
  const word = (): string | undefined => {
    token.lastIndex = at
    const match = token.exec(header)
    if (!match) return undefined
    at = token.lastIndex
    return match[0]
  }
  const value = (): string => {
    if (header[at] !== '"') return word() ?? ''
    let text = ''
    for (at++; at < header.length && header[at] !== '"'; at++) {
      if (header[at] === '\\') at++
      text += header[at] ?? ''
    }
    at++
    return text
  }
  for (skip(); at < header.length; skip()) {
    const name = word()
    if (name === undefined) {
      at++
      continue
    }
    const current = challenges.at(-1)
    if (header[at] === '=' && current) {
      at++
      current.parameters[name.toLowerCase()] = value()
    } else {
      challenges.push({ scheme: name.toLowerCase(), parameters: {} })
    }
  }
  return challenges
}
