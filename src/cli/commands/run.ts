import { type Command, Option } from 'commander'
import { collect } from '../options.ts'
import { type RunOptions, runOneOff } from '../run-one-off.ts'
import type { Session } from '../session.ts'

export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS] SERVICE [COMMAND] [ARGS...]')
    .argument('<service>')
    .argument('[command...]')
    .passThroughOptions()
    .option('--build', 'Build the image first')
    .option('--cap-add <capability>', 'Add a capability (repeatable)', collect)
    .option('--cap-drop <capability>', 'Drop a capability (repeatable)', collect)
    .option('-d, --detach', 'Run it in the background and print its name')
    .option('--entrypoint <command>', "Replace the image's entrypoint")
    .option('-e, --env <name=value>', 'Set a variable (repeatable)', collect)
    .option('--env-from-file <file>', 'Set variables from a file (repeatable)', collect)
    .addOption(new Option('-i, --interactive', 'Keep stdin open (default true)').default(true))
    .addOption(new Option('--no-interactive').hideHelp())
    .option('-l, --label <name=value>', 'Add a label (repeatable)', collect)
    .addOption(new Option('--labels <name=value>').argParser(collect).hideHelp())
    .option('--name <name>', 'Name of the container')
    .option('--no-deps', 'Do not start dependencies')
    .option('-T, --no-tty', 'Do not allocate a terminal')
    .addOption(new Option('-t, --tty').hideHelp())
    .addOption(new Option('--no-TTY').hideHelp())
    .option('-p, --publish <port>', 'Publish a port (repeatable)', collect)
    .option('--pull <policy>', 'Pull images first: always, missing, never, policy')
    .option('-q, --quiet', 'Show no progress')
    .option('--quiet-build', 'Build without output')
    .option('--quiet-pull', 'Pull without progress')
    .option('--remove-orphans', 'Remove containers of services that the file does not define')
    .option('--rm', 'Remove the container when it has ended')
    .option('-P, --service-ports', "Publish the service's ports")
    .option('--use-aliases', "Answer to the service's network names")
    .option('-u, --user <user>', 'Run as this user')
    .option('-v, --volume <mount>', 'Mount a volume (repeatable)', collect)
    .addOption(new Option('--volumes <mount>').argParser(collect).hideHelp())
    .option('-w, --workdir <path>', 'Working directory in the container')
    .addHelpText(
      'after',
      '\nExamples:\n  tcompose run --rm web npm test\n  tcompose run --rm -e DEBUG=1 -v ./data:/data web sh\n',
    )
    .action((service: string, words: readonly string[], options: RunOptions) =>
      runOneOff(session, service, words, options),
    )
}
