import { TcomposeError } from '../../base/errors.ts'

/** Permission bits of a file or directory → new ones. */
export type ModeChange = (mode: number, isDirectory: boolean) => number

/** Octal (`0755`) or symbolic (`u=rwX,go=rX`) modes. @throws TcomposeError INVALID */
export function parseChmod(text: string): ModeChange {
  const bad = () =>
    new TcomposeError(
      'INVALID',
      `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`,
    )
  if (/^[0-7]+$/.test(text)) {
    const mode = Number.parseInt(text, 8)
    if (mode > 0o7777) throw bad()
    return () => mode
  }
  const clauses = text.split(',').map((clause) => {
    const match = /^([ugoa]*)((?:[+=-][rwxXst]*|[+=-][ugo])+)$/.exec(clause)
    if (!match) throw bad()
    const who = match[1] === '' || match[1]?.includes('a') ? 'ugo' : (match[1] as string)
    return { who, actions: [...(match[2] as string).matchAll(/([+=-])([rwxXstugo]*)/g)] }
  })
  return (before, isDirectory) => {
    let mode = before
    for (const { who, actions } of clauses) {
      for (const [, sign, permissions = ''] of actions) {
        const { bits, mask } = bitsOf(who, permissions, mode, isDirectory)
        if (sign === '+') mode |= bits
        else if (sign === '-') mode &= ~bits
        else mode = (mode & ~mask) | bits
      }
    }
    return mode
  }
}

const SHIFT: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 }

function bitsOf(who: string, permissions: string, mode: number, isDirectory: boolean): { bits: number; mask: number } {
  let bits = 0
  let mask = 0
  for (const person of who) {
    const shift = SHIFT[person] as number
    mask |= 0o7 << shift
    if (person === 'u') mask |= 0o4000
    if (person === 'g') mask |= 0o2000
    for (const permission of permissions) {
      if (permission === 'r') bits |= 4 << shift
      else if (permission === 'w') bits |= 2 << shift
      else if (permission === 'x') bits |= 1 << shift
      else if (permission === 'X' && (isDirectory || (mode & 0o111) !== 0)) bits |= 1 << shift
      else if (permission === 's') bits |= person === 'u' ? 0o4000 : person === 'g' ? 0o2000 : 0
      else if (permission === 't') {
        bits |= 0o1000
        mask |= 0o1000
      } else if (permission in SHIFT) bits |= ((mode >> (SHIFT[permission] as number)) & 7) << shift
    }
  }
  return { bits, mask }
}
