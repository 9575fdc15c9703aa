import { TcomposeError } from '../base/errors.ts'

/**
 * Splits a command as a shell would, without running one: quotes and backslashes count, variables and operators do not.
 * @throws TcomposeError INVALID for a quote that is not closed
 */
export function splitWords(text: string): readonly string[] {
  const words: string[] = []
  let word: string | undefined
  let quote = ''
  for (let index = 0; index < text.length; index++) {
    const character = text[index] as string
    if (quote === "'") {
      if (character === "'") quote = ''
      else word += character
      continue
    }
    if (character === '\\' && (quote === '' || index + 1 < text.length)) {
      const next = text[index + 1]
      if (next === undefined) throw unclosed(text)
      index++
      if (quote === '"' && !'"\\$`\n'.includes(next)) word = `${word ?? ''}\\${next}`
      else if (next !== '\n') word = (word ?? '') + next
      continue
    }
    if (quote === '"') {
      if (character === '"') quote = ''
      else word += character
      continue
    }
    if (character === '"' || character === "'") {
      quote = character
      word ??= ''
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else word = (word ?? '') + character
  }
  if (quote !== '') throw unclosed(text)
  if (word !== undefined) words.push(word)
  return words
}

function unclosed(text: string): TcomposeError {
  return new TcomposeError('INVALID', `invalid command line string: ${text}`, {
    hint: 'a quote is not closed, or a backslash ends it',
  })
}
