import { TcomposeError } from '../base/errors.ts'
import { didYouMean } from './suggest.ts'

export type FlagKind = 'bool' | 'string' | 'list'

/** The flags of one instruction. */
export interface Flags {
  text(name: string): string
  list(name: string): readonly string[]
  /** undefined: not given. */
  bool(name: string): boolean | undefined
  /** Names of those given, each once, in order. */
  readonly used: readonly string[]
}

/**
 * @param known what the instruction takes
 * @throws TcomposeError INVALID for an unknown, doubled or malformed flag
 */
export function readFlags(written: readonly string[], known: Readonly<Record<string, FlagKind>>): Flags {
  const values = new Map<string, string[]>()
  for (const flag of written) {
    const equals = flag.indexOf('=')
    const name = flag.slice(2, equals < 0 ? undefined : equals)
    const value = equals < 0 ? undefined : flag.slice(equals + 1)
    const kind = known[name]
    if (kind === undefined || !Object.hasOwn(known, name)) {
      throw invalid(`unknown flag: --${name}${didYouMean(name, Object.keys(known))}`)
    }
    if (values.has(name) && kind !== 'list') throw invalid(`duplicate flag specified: --${name}`)
    if (kind === 'bool' && value !== undefined && value.toLowerCase() !== 'true' && value.toLowerCase() !== 'false') {
      throw invalid(`expecting boolean value for flag --${name}, not: ${value}`)
    }
    if (kind !== 'bool' && value === undefined) throw invalid(`missing a value on flag: --${name}`)
    values.set(name, [...(values.get(name) ?? []), value ?? 'true'])
  }
  return {
    text: (name) => values.get(name)?.[0] ?? '',
    list: (name) => values.get(name) ?? [],
    bool: (name) => (values.has(name) ? values.get(name)?.[0]?.toLowerCase() === 'true' : undefined),
    used: [...values.keys()],
  }
}

function invalid(message: string): TcomposeError {
  return new TcomposeError('INVALID', message)
}
