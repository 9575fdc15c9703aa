/**
 * `-e NAME=VALUE` as it is; `-e NAME` takes the value that is known here and is left out when there is none.
 */
export function environmentOf(
  given: readonly string[],
  known: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  return given.flatMap((text) => {
    if (text.includes('=')) return [text]
    const value = known[text]
    return value === undefined ? [] : [`${text}=${value}`]
  })
}
