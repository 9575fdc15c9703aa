import { type Command, Option } from 'commander'
import { TcomposeError } from '../../base/errors.ts'
import type { ExecSpec } from '../../engine/containers/types.ts'
import { openScope, pickOne } from '../choose.ts'
import { environmentOf } from '../environment.ts'
import { collect, integer } from '../options.ts'
import type { Session } from '../session.ts'
import { connectTerminal } from '../terminal.ts'

interface Options {
  readonly detach?: boolean
  readonly env?: readonly string[]
  readonly index?: number
  readonly interactive: boolean
  readonly tty: boolean
  readonly privileged?: boolean
  readonly user?: string
  readonly workdir?: string
}

export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS] SERVICE COMMAND [ARGS...]')
    .argument('<service>')
    .argument('<command...>')
    .passThroughOptions()
    .option('-d, --detach', 'Run it in the background')
    .option('-e, --env <name=value>', 'Set a variable (repeatable)', collect)
    .option('--index <n>', 'Which container of the service', integer('--index'))
    .option('-T, --no-tty', 'Do not allocate a terminal')
    .addOption(new Option('-t, --tty').hideHelp())
    .addOption(new Option('--no-TTY').hideHelp())
    .addOption(new Option('-i, --interactive').default(true).hideHelp())
    .addOption(new Option('--no-interactive').hideHelp())
    .option('--privileged', 'Give it all privileges')
    .option('-u, --user <user>', 'Run as this user')
    .option('-w, --workdir <path>', 'Working directory in the container')
    .addHelpText('after', '\nExamples:\n  tcompose exec web sh\n  tcompose exec -T db pg_dump -U app > dump.sql\n')
    .action(async (service: string, words: readonly string[], options: Options & { TTY?: boolean }) => {
      const scope = await openScope(session, [service])
      const container = pickOne(scope, service, options.index, { running: true })
      const engine = await session.engine()
      const tty =
        options.tty !== false &&
        options.TTY !== false &&
        !options.detach &&
        process.stdin.isTTY === true &&
        process.stdout.isTTY === true
      const stdin = options.interactive && !options.detach
      const spec: ExecSpec = {
        command: words,
        env: environmentOf(options.env ?? [], { ...scope.project?.environment, ...session.env }),
        user: options.user,
        workingDir: options.workdir,
        privileged: options.privileged ?? false,
        tty,
        stdin,
      }
      if (session.dryRun) {
        session.write(`exec in ${container.name}: ${words.join(' ')}\n`)
        return
      }
      const streams = await engine.containers.exec(container.id, spec)
      if (options.detach) {
        streams.stdin.end()
        streams.detach()
        return
      }
      const end = await connectTerminal(streams, { tty, stdin, signals: true })
      if (end.kind === 'detached') throw new TcomposeError('CANCELED', 'detached', { exitCode: 0 })
      session.exitCode = end.exitCode
    })
}
