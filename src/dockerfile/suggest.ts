/** Words that are further than this from what was written are no suggestion. */
const MAX_DISTANCE = 2

/** The option nearest to a misspelt word, if one is near enough. Lower-case words get lower-case suggestions. */
export function suggest(word: string, options: readonly string[]): string | undefined {
  let best: string | undefined
  let least = MAX_DISTANCE + 1
  for (const option of options) {
    const distance = editDistance(word.toLowerCase(), option.toLowerCase())
    if (distance < least) {
      least = distance
      best = option
    }
  }
  return least === 0 ? undefined : best
}

/** ` (did you mean X?)`, or nothing. */
export function didYouMean(word: string, options: readonly string[], prefix = ''): string {
  const near = suggest(word, options)
  return near === undefined ? '' : ` (did you mean ${prefix}${near}?)`
}

/** Levenshtein distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}
