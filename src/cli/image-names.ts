import { parseReference } from '../base/reference.ts'

/** A name as lists show it, in two columns. */
export function splitTag(name: string): { readonly repository: string; readonly tag: string } {
  try {
    const ref = parseReference(name)
    const bare = name.replace(/@.*$/, '')
    if (ref.tag === undefined) return { repository: bare, tag: ref.digest === undefined ? 'latest' : '<none>' }
    return { repository: bare.slice(0, bare.lastIndexOf(':')), tag: ref.tag }
  } catch {
    return { repository: '<none>', tag: '<none>' }
  }
}
