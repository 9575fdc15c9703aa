import { isTcomposeError, TcomposeError } from '../base/errors.ts'
import { type ParsedArguments, parseGlobals } from './globals.ts'
import { findVerb, VERBS } from './verbs.ts'

/**
 * The command line. Nothing but the verb's own file is loaded: the verb is found first, by hand.
 * @returns the exit code
 */
export async function main(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  let parsed: ParsedArguments | undefined
  try {
    parsed = parseGlobals(argv, env)
    if (parsed.version) {
      const { versionText } = await import('./version.ts')
      process.stdout.write(`${versionText()}\n`)
      return 0
    }
    if (parsed.verb === undefined || (parsed.verb === 'help' && parsed.rest.length === 0)) {
      const { overview } = await import('./overview.ts')
      process.stdout.write(overview())
      return 0
    }
    if (parsed.verb === 'agent' && !parsed.help) {
      const { runAgent } = await import('./commands/agent.ts')
      return await runAgent(parsed.rest)
    }
    const asked = parsed.verb === 'help' ? (parsed.rest[0] as string) : parsed.verb
    const verb = findVerb(asked)
    if (!verb) throw await unknownVerb(asked)
    const { runVerb } = await import('./run-verb.ts')
    const help = parsed.help || parsed.verb === 'help'
    return await runVerb(
      verb,
      help ? [...(parsed.verb === 'help' ? parsed.rest.slice(1) : []), '--help'] : parsed.rest,
      parsed.globals,
      env,
    )
  } catch (error) {
    return await report(error, parsed, env)
  }
}

async function unknownVerb(verb: string): Promise<TcomposeError> {
  const { nearest } = await import('./suggest.ts')
  const near = nearest(
    verb,
    VERBS.filter((one) => one.summary !== '').flatMap((one) => [one.name, ...(one.aliases ?? [])]),
  )
  return new TcomposeError('INVALID', `unknown docker command: ${JSON.stringify(`compose ${verb}`)}`, {
    hint: near ? `did you mean tcompose ${near}?` : 'tcompose --help lists the commands',
  })
}

async function report(error: unknown, parsed: ParsedArguments | undefined, env: NodeJS.ProcessEnv): Promise<number> {
  const [{ formatError }, { wantsColor }] = await Promise.all([import('../ui/errors.ts'), import('../ui/color.ts')])
  if (isTcomposeError(error, 'CANCELED')) {
    if (error.message !== 'interrupted') process.stderr.write(`${error.message}\n`)
    return error.exitCode ?? 130
  }
  process.stderr.write(
    formatError(error, {
      color: wantsColor(process.stderr, parsed?.globals.ansi ?? 'auto', env),
      verbose: parsed?.globals.verbose ?? false,
    }),
  )
  return error instanceof TcomposeError ? (error.exitCode ?? 1) : 1
}

// A reader that has gone (`tcompose logs | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(141)
  throw error
})
void main(process.argv.slice(2), process.env).then((code) => {
  // Writes to pipes, files and terminals are synchronous here, so nothing is lost; and no forgotten handle keeps us.
  if (code >= 0) process.exit(code)
})
