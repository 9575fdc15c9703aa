import { type Command, Option } from 'commander'
import { TcomposeError } from '../base/errors.ts'
import { parseInteger } from './globals.ts'

/** For repeatable options. */
export function collect(value: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), value]
}

/** For repeatable options that take comma lists too, as Go's StringSlice. */
export function collectList(value: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), ...value.split(',')]
}

export function integer(what: string): (value: string) => number {
  return (value) => parseInteger(value, what)
}

/** An option that scripts may give and that the help does not show. */
export function hidden(flags: string, description = ''): Option {
  return new Option(flags, description).hideHelp()
}

/** A switch that is on unless `--name=false` (or `--no-name`) is given. */
export function onByDefault(command: Command, flags: string, description: string): Command {
  const long = /--([\w-]+)/.exec(flags)?.[1] as string
  return command
    .addOption(new Option(flags, description).default(true))
    .addOption(new Option(`--no-${long}`).hideHelp())
}

/** `web=3`, several times. @throws TcomposeError INVALID */
export function parseScale(values: readonly string[]): ReadonlyMap<string, number> {
  const scale = new Map<string, number>()
  for (const value of values) {
    const [name = '', count = ''] = value.split('=')
    if (name === '' || !/^\d+$/.test(count)) {
      throw new TcomposeError('INVALID', `invalid scale specifier: ${value}`, { hint: 'write it as SERVICE=NUMBER' })
    }
    scale.set(name, Number(count))
  }
  return scale
}

export const POLICIES = ['always', 'missing', 'never', 'policy', 'build', 'newer', 'if_not_present'] as const

/** @throws TcomposeError INVALID */
export function checkChoice(value: string | undefined, allowed: readonly string[], what: string): void {
  if (value !== undefined && !allowed.includes(value)) {
    throw new TcomposeError('INVALID', `invalid value ${JSON.stringify(value)} for ${what}`, {
      hint: `one of ${allowed.join(', ')} is expected`,
    })
  }
}

/** Both of two flags that exclude each other. @throws TcomposeError INVALID */
export function checkExclusive(options: Readonly<Record<string, unknown>>, first: string, second: string): void {
  const given = (flag: string): boolean => {
    const negated = flag.startsWith('no-')
    const value = options[camel(negated ? flag.slice(3) : flag)]
    return negated ? value === false : value === true || (Array.isArray(value) && value.length > 0)
  }
  if (given(first) && given(second)) {
    throw new TcomposeError('INVALID', `--${first} and --${second} are incompatible`)
  }
}

function camel(name: string): string {
  return name.replace(/-(\w)/g, (_whole, letter: string) => letter.toUpperCase())
}
