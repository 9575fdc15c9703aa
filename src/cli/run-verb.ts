import { Command, CommanderError, type Option } from 'commander'
import { TcomposeError } from '../base/errors.ts'
import type { Globals } from './globals.ts'
import { createSession } from './session.ts'
import { nearest } from './suggest.ts'
import type { Verb } from './verbs.ts'

/** Parses the verb's own arguments and runs it. @returns the exit code; negative: the process must stay */
export async function runVerb(
  verb: Verb,
  args: readonly string[],
  globals: Globals,
  env: NodeJS.ProcessEnv,
): Promise<number> {
  const module = await verb.load()
  await using session = createSession(globals, env)
  const command = new Command(`tcompose ${verb.name}`)
  command.description(verb.summary)
  prepare(command)
  module.configure(command, session)
  addDryRun(command, session.setDryRun)
  try {
    await command.parseAsync(normalizeFlags(args, command), { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0 || error.code === 'commander.help') return error.exitCode
    throw asUsageError(error, command, args)
  }
  return session.exitCode
}

/** Errors come back to us; usage is not printed with each of them. */
function prepare(command: Command): void {
  command
    .exitOverride()
    .enablePositionalOptions()
    .helpOption('-h, --help', 'Show help')
    .helpCommand(false)
    .showSuggestionAfterError(false)
    .configureOutput({ writeErr: () => {}, outputError: () => {} })
    .configureHelp({ sortOptions: true, helpWidth: Math.min(process.stdout.columns || 100, 110) })
}

/** `--dry-run` may stand before or after the verb. */
function addDryRun(command: Command, setDryRun: () => void): void {
  for (const one of [command, ...command.commands]) {
    if (one !== command) prepare(one)
    one.option('--dry-run', 'Print what would be done and change nothing')
    one.hook('preAction', () => {
      if (one.opts().dryRun === true) setDryRun()
    })
  }
}

/** pflag takes `--menu=false` for switches; commander does not. */
export function normalizeFlags(args: readonly string[], command: Command): readonly string[] {
  const out: string[] = []
  let options = allOptions(command)
  for (let index = 0; index < args.length; index++) {
    const word = args[index] as string
    if (word === '--') return [...out, ...args.slice(index)]
    if (!word.startsWith('-') || word === '-') {
      const sub = command.commands.find((one) => one.name() === word || one.aliases().includes(word))
      if (sub && out.every((one) => one.startsWith('-'))) options = allOptions(sub)
      else if (stopsAtWord(command)) return [...out, ...args.slice(index)]
      out.push(word)
      continue
    }
    const match = /^(--[\w-]+)=(.*)$/s.exec(word)
    const option = match ? options.find((one) => one.long === match[1]) : undefined
    if (match && (option?.isBoolean() || option?.negate)) {
      const on = /^(1|t|true)$/i.test(match[2] as string)
      if (!on && !/^(0|f|false)$/i.test(match[2] as string)) {
        throw new TcomposeError(
          'INVALID',
          `invalid argument ${JSON.stringify(match[2])} for ${match[1]}: true or false is expected`,
        )
      }
      const opposite = option.negate
        ? (match[1] as string).replace(/^--no-/, '--')
        : `--no-${(match[1] as string).slice(2)}`
      if (on) out.push(match[1] as string)
      else if (options.some((one) => one.long === opposite)) out.push(opposite)
      continue
    }
    out.push(word)
    // The value of an option must not be taken for the first word.
    const short = /^-\w+$/.test(word) ? options.find((one) => one.short === `-${word.at(-1)}`) : undefined
    const taker = options.find((one) => one.long === word) ?? short
    if (taker?.required && !word.includes('=') && needsNext(word, taker, options)) {
      index++
      if (index < args.length) out.push(args[index] as string)
    }
  }
  return out
}

/** `-uroot` has its value in itself; `-itu root` takes the next word. */
function needsNext(word: string, option: Option, options: readonly Option[]): boolean {
  if (word.startsWith('--') || word === option.short) return true
  return [...word.slice(1, -1)].every(
    (letter) => options.find((one) => one.short === `-${letter}`)?.isBoolean() === true,
  )
}

function stopsAtWord(command: Command): boolean {
  return (command as Command & { _passThroughOptions?: boolean })._passThroughOptions === true
}

function allOptions(command: Command): readonly Option[] {
  return command.options
}

function asUsageError(error: CommanderError, command: Command, args: readonly string[]): TcomposeError {
  const sub = command.commands.find((one) => args.includes(one.name()))
  const where = `${command.name()}${sub ? ` ${sub.name()}` : ''}`
  const see = `${where} --help lists the flags`
  const text = error.message.replace(/^error: /, '')
  if (error.code === 'commander.unknownOption') {
    const flag = /'([^']+)'/.exec(text)?.[1] ?? ''
    if (!flag.startsWith('--')) {
      return new TcomposeError('INVALID', `unknown shorthand flag: '${flag[1] ?? ''}' in ${flag}`, { hint: see })
    }
    const name = flag.replace(/=.*/s, '')
    const longs = (sub ?? command).options.flatMap((one) => (one.long && !one.hidden ? [one.long] : []))
    const near = nearest(name, longs)
    return new TcomposeError('INVALID', `unknown flag: ${name}`, { hint: near ? `did you mean ${near}?` : see })
  }
  if (error.code === 'commander.optionMissingArgument') {
    const flag = /--[\w-]+|-\w/.exec(text)?.[0] ?? ''
    return new TcomposeError('INVALID', `flag needs an argument: ${flag}`, { hint: see })
  }
  const excess = error.code === 'commander.excessArguments' && command.commands.length > 0 && !sub
  if (error.code === 'commander.unknownCommand' || excess) {
    const name = /'([^']+)'/.exec(text)?.[1] ?? args.find((one) => !one.startsWith('-')) ?? ''
    const near = nearest(
      name,
      command.commands.map((one) => one.name()),
    )
    return new TcomposeError('INVALID', `unknown command: ${where} ${name}`, {
      hint: near ? `did you mean ${near}?` : see,
    })
  }
  return new TcomposeError('INVALID', text, { hint: `see ${where} --help` })
}
