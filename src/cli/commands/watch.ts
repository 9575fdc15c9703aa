import { type Command, Option } from 'commander'
import type { Session } from '../session.ts'
import { watchServices } from '../watch-services.ts'

interface Options {
  readonly up: boolean
  readonly prune: boolean
  readonly quiet?: boolean
}

export function configure(command: Command, session: Session): void {
  command
    .usage('[SERVICE...]')
    .argument('[services...]')
    .option('--no-up', 'Do not build and start services first')
    .addOption(new Option('--prune', 'Remove dangling images after a rebuild (default true)').default(true))
    .addOption(new Option('--no-prune').hideHelp())
    .option('--quiet', 'Hide build output')
    .action((services: readonly string[], options: Options) =>
      watchServices(session, services, { up: options.up, prune: options.prune, quiet: options.quiet ?? false }),
    )
}
