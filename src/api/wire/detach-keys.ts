import { badRequest } from '../http-error.ts'

/** Docker's default. */
export const DETACH_KEYS = 'ctrl-p,ctrl-q'

/**
 * Bytes of `ctrl-p,ctrl-q`: characters, and `ctrl-` with a letter or one of `@[\]^_`. @throws TcomposeError INVALID
 */
export function parseDetachKeys(keys: string): readonly number[] {
  return keys.split(',').map((key) => {
    if (/^[\x20-\x7e]$/.test(key)) return key.charCodeAt(0)
    const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1]
    if (control === undefined) throw badRequest(`Invalid escape keys (${keys}) provided`)
    return control.toUpperCase().charCodeAt(0) & 0x1f
  })
}

/** Watches input for the keys. What may be their beginning is held back until it is clear. */
export interface DetachWatch {
  /** What of the chunk is to be passed on, and whether the keys are complete with it. */
  take(chunk: Buffer): { readonly pass: Buffer; readonly detached: boolean }
}

export function watchDetachKeys(keys: readonly number[]): DetachWatch {
  let matched = 0
  return {
    take(chunk) {
      const pass: number[] = []
      for (const byte of chunk) {
        while (matched > 0 && byte !== keys[matched]) {
          // The held keys are none: the longest end of them that may still begin the sequence stays held.
          const held = keys.slice(0, matched)
          let length = matched - 1
          while (length > 0 && !held.slice(-length).every((one, index) => one === keys[index])) length--
          pass.push(...held.slice(0, matched - length))
          matched = length
        }
        if (byte !== keys[matched]) {
          pass.push(byte)
          continue
        }
        matched++
        if (matched === keys.length) return { pass: Buffer.from(pass), detached: true }
      }
      return { pass: Buffer.from(pass), detached: false }
    },
  }
}
