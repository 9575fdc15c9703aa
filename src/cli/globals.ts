import { TcomposeError } from '../base/errors.ts'
import { nearest } from './suggest.ts'

/** The flags before the verb. Each also has a `COMPOSE_*` variable, which the flag wins over. */
export interface Globals {
  readonly files: readonly string[]
  readonly projectName: string | undefined
  readonly projectDirectory: string | undefined
  readonly profiles: readonly string[]
  readonly envFiles: readonly string[]
  readonly allResources: boolean
  readonly compatibility: boolean
  readonly dryRun: boolean
  readonly verbose: boolean
  readonly ansi: 'auto' | 'always' | 'never'
  readonly progress: 'auto' | 'tty' | 'plain' | 'json' | 'quiet'
  /** -1: no limit. */
  readonly parallel: number
  readonly insecureRegistries: readonly string[]
}

export interface ParsedArguments {
  readonly globals: Globals
  readonly verb: string | undefined
  /** What follows the verb. */
  readonly rest: readonly string[]
  readonly help: boolean
  readonly version: boolean
}

export interface GlobalFlag {
  readonly long: string
  readonly short?: string
  /** Placeholder of the value; absent for a switch. */
  readonly value?: string
  readonly help?: string
}

/** In the order of the help text; those without help are accepted for old scripts and not shown. */
export const GLOBAL_FLAGS: readonly GlobalFlag[] = [
  { long: '--all-resources', help: 'Include all resources, even those no service uses' },
  { long: '--ansi', value: 'string', help: 'When to print ANSI control characters: never, always, auto' },
  { long: '--compatibility', help: 'Name containers with underscores, as Compose v1 did' },
  { long: '--dry-run', help: 'Print the plan and change nothing' },
  { long: '--env-file', value: 'file', help: 'Environment file in place of .env (repeatable)' },
  { long: '--file', short: '-f', value: 'file', help: 'Compose file (repeatable; later ones override)' },
  { long: '--parallel', value: 'n', help: 'Engine calls at once; -1 for no limit' },
  { long: '--profile', value: 'name', help: 'Enable a profile (repeatable; * for all)' },
  { long: '--progress', value: 'type', help: 'Progress output: auto, tty, plain, json, quiet' },
  { long: '--project-directory', value: 'dir', help: 'Directory that relative paths start from' },
  { long: '--project-name', short: '-p', value: 'name', help: 'Project name' },
  { long: '--help', short: '-h', help: 'Show help' },
  { long: '--version', short: '-v', help: 'Show the version' },
  { long: '--insecure-registry', value: 'host' },
  { long: '--no-ansi' },
  { long: '--verbose' },
  { long: '--debug', short: '-D' },
  { long: '--workdir', value: 'dir' },
]

/**
 * Reads the flags before the verb, by pflag's rules (`-fa`, `-f a`, `--file=a`, `--dry-run=false`), and stops at the
 * first word that is no flag.
 * @throws TcomposeError INVALID for an unknown flag or a bad value
 */
export function parseGlobals(argv: readonly string[], env: NodeJS.ProcessEnv): ParsedArguments {
  const values = new Map<string, string[]>()
  let index = 0
  const take = (flag: GlobalFlag, given: string | undefined, shown: string): void => {
    let value = given
    if (flag.value === undefined) value ??= 'true'
    else if (value === undefined) {
      value = argv[++index]
      if (value === undefined) throw new TcomposeError('INVALID', `flag needs an argument: ${shown}`)
    }
    values.set(flag.long, [...(values.get(flag.long) ?? []), value])
  }
  for (; index < argv.length; index++) {
    const word = argv[index] as string
    if (word === '--') {
      index++
      break
    }
    if (!word.startsWith('-') || word === '-') break
    if (word.startsWith('--')) {
      const [name = '', ...value] = word.split('=')
      const flag = GLOBAL_FLAGS.find((one) => one.long === name)
      if (!flag) throw unknownFlag(name)
      take(flag, value.length > 0 ? value.join('=') : undefined, name)
      continue
    }
    for (let at = 1; at < word.length; at++) {
      const short = `-${word[at]}`
      const flag = GLOBAL_FLAGS.find((one) => one.short === short)
      if (!flag)
        throw new TcomposeError('INVALID', `unknown shorthand flag: '${word[at]}' in ${word}`, {
          hint: 'see tcompose --help',
        })
      if (flag.value === undefined) {
        take(flag, undefined, short)
        continue
      }
      const tail = word.slice(at + 1).replace(/^=/, '')
      take(flag, tail === '' ? undefined : tail, short)
      break
    }
  }
  const all = (long: string): readonly string[] => values.get(long) ?? []
  const last = (long: string): string | undefined => values.get(long)?.at(-1)
  const isOn = (long: string): boolean => parseBoolean(last(long) ?? 'false', long)
  return {
    globals: {
      files: all('--file'),
      projectName: last('--project-name'),
      projectDirectory: last('--project-directory') ?? last('--workdir'),
      profiles: all('--profile'),
      envFiles: all('--env-file'),
      allResources: isOn('--all-resources'),
      compatibility: isOn('--compatibility') || isTrue(env.COMPOSE_COMPATIBILITY),
      dryRun: isOn('--dry-run'),
      verbose: isOn('--verbose') || isOn('--debug'),
      ansi: isOn('--no-ansi')
        ? 'never'
        : oneOf(last('--ansi') ?? env.COMPOSE_ANSI, ['auto', 'always', 'never'], '--ansi'),
      progress: oneOf(
        last('--progress') ?? env.COMPOSE_PROGRESS,
        ['auto', 'tty', 'plain', 'json', 'quiet'],
        '--progress',
      ),
      parallel: parseInteger(last('--parallel') ?? (env.COMPOSE_PARALLEL_LIMIT || '-1'), '--parallel'),
      insecureRegistries: all('--insecure-registry'),
    },
    verb: argv[index],
    rest: argv.slice(index + 1),
    help: isOn('--help'),
    version: isOn('--version'),
  }
}

function unknownFlag(name: string): TcomposeError {
  const near = nearest(
    name,
    GLOBAL_FLAGS.map((one) => one.long),
  )
  return new TcomposeError('INVALID', `unknown flag: ${name}`, {
    hint: near ? `did you mean ${near}?` : 'flags of a verb come after the verb; see tcompose --help',
  })
}

function oneOf<T extends string>(value: string | undefined, allowed: readonly T[], what: string): T {
  if (value === undefined || value === '') return allowed[0] as T
  const found = allowed.find((one) => one === value)
  if (found) return found
  throw new TcomposeError('INVALID', `invalid value for ${what}: ${JSON.stringify(value)}`, {
    hint: `one of ${allowed.join(', ')} is expected`,
  })
}

/** @throws TcomposeError INVALID */
export function parseInteger(text: string, what: string): number {
  if (/^[+-]?\d+$/.test(text.trim())) return Number(text)
  throw new TcomposeError('INVALID', `invalid argument ${JSON.stringify(text)} for ${what}: a whole number is expected`)
}

/** Go's strconv.ParseBool. @throws TcomposeError INVALID */
export function parseBoolean(text: string, what: string): boolean {
  if (/^(1|t|true)$/i.test(text)) return true
  if (/^(0|f|false)$/i.test(text)) return false
  throw new TcomposeError('INVALID', `invalid argument ${JSON.stringify(text)} for ${what}: true or false is expected`)
}

/** Whether an environment variable is set to something that means yes. */
export function isTrue(value: string | undefined): boolean {
  return value !== undefined && /^(1|t|true|y|yes|on)$/i.test(value)
}
