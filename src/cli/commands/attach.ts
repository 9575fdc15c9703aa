import { type Command, Option } from 'commander'
import { TcomposeError } from '../../base/errors.ts'
import { openScope, pickOne } from '../choose.ts'
import { integer } from '../options.ts'
import type { Session } from '../session.ts'
import { connectTerminal } from '../terminal.ts'

interface Options {
  readonly detachKeys?: string
  readonly index?: number
  readonly stdin: boolean
  readonly sigProxy: boolean
}

export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS] SERVICE')
    .argument('<service>')
    .option('--detach-keys <keys>', 'Keys that let go of the container')
    .option('--index <n>', 'Which container of the service', integer('--index'))
    .option('--no-stdin', 'Do not send stdin')
    .addOption(new Option('--sig-proxy', 'Pass signals on to the process (default true)').default(true))
    .addOption(new Option('--no-sig-proxy').hideHelp())
    .action(async (service: string, options: Options) => {
      const container = pickOne(await openScope(session, [service]), service, options.index)
      if (container.state.status !== 'running') {
        throw new TcomposeError('CONFLICT', `cannot attach to ${container.name}: it is ${container.state.status}`, {
          hint: `tcompose start ${service}`,
        })
      }
      const engine = await session.engine()
      const streams = await engine.containers.attach(container.id)
      const end = await connectTerminal(streams, {
        tty: container.spec.tty ?? false,
        stdin: options.stdin && (container.spec.openStdin ?? false),
        detachKeys: options.detachKeys ?? 'ctrl-p,ctrl-q',
        signals: options.sigProxy,
      })
      if (end.kind === 'exit') session.exitCode = end.exitCode
    })
}
