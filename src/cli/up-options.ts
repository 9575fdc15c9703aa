import { type Command, Option } from 'commander'
import { collect, integer } from './options.ts'

/** What `up` and `create` have in common. */
export interface CreateOptions {
  readonly build?: boolean
  readonly forceRecreate?: boolean
  readonly recreate?: boolean
  readonly pull?: string
  readonly quietPull?: boolean
  readonly removeOrphans?: boolean
  readonly scale?: readonly string[]
  readonly yes?: boolean
  readonly y?: boolean
}

export function addCreateOptions(command: Command): Command {
  return command
    .option('--build', 'Build images first')
    .option('--no-build', 'Do not build images, even when they are missing')
    .option('--force-recreate', 'Make containers anew even when nothing changed')
    .option('--no-recreate', 'Leave containers as they are even when their configuration changed')
    .option('--pull <policy>', 'Pull images first: always, missing, never, policy')
    .option('--quiet-pull', 'Pull without progress')
    .option('--remove-orphans', 'Remove containers of services that the file does not define')
    .option('--scale <service=n>', 'Number of containers of a service (repeatable)', collect)
    .option('-y, --yes', 'Answer yes to every question')
    .addOption(new Option('--y').hideHelp())
}

export function addUpOptions(command: Command): Command {
  return addCreateOptions(command)
    .option('--abort-on-container-exit', 'Stop everything when the first container ends')
    .option('--abort-on-container-failure', 'Stop everything when the first container ends with an error')
    .option('--always-recreate-deps', 'Make dependencies anew too')
    .option('--attach <service>', 'Show the output of these services only (repeatable)', collect)
    .option('--attach-dependencies', 'Show the output of dependencies too')
    .option('-d, --detach', 'Leave containers running in the background')
    .option('--exit-code-from <service>', "Return this service's exit code")
    .option('--junit <file>', 'Write a JUnit report with a case per container')
    .addOption(new Option('--menu', 'Keyboard shortcuts while attached (w: watch, d: detach)'))
    .addOption(new Option('--no-menu').hideHelp())
    .addOption(
      positive(
        new Option('--no-attach <service>', 'Do not show the output of these services (repeatable)').argParser(collect),
      ),
    )
    .option('--no-color', 'Print without colours')
    .option('--no-deps', 'Do not start dependencies')
    .option('--no-log-prefix', 'Print without the names')
    .option('--no-start', 'Create containers only')
    .option('--quiet-build', 'Build without output')
    .option('-V, --renew-anon-volumes', 'New anonymous volumes in place of those of the containers before')
    .option('-t, --timeout <seconds>', 'Seconds until containers that do not stop are killed', integer('--timeout'))
    .option('--timestamps', 'Show times')
    .option('--wait', 'Wait until services run or are healthy; implies --detach')
    .option('--wait-timeout <seconds>', 'Seconds to wait at most', integer('--wait-timeout'))
    .option('-w, --watch', 'Follow changes of files too')
}

/** commander takes every `--no-x` for the negation of `--x`; this one is an option with a value of its own. */
function positive(option: Option): Option {
  option.negate = false
  return option
}

export interface UpOptions extends CreateOptions {
  readonly abortOnContainerExit?: boolean
  readonly abortOnContainerFailure?: boolean
  readonly alwaysRecreateDeps?: boolean
  readonly attach?: readonly string[]
  readonly attachDependencies?: boolean
  readonly detach?: boolean
  readonly exitCodeFrom?: string
  readonly junit?: string
  readonly menu?: boolean
  readonly noAttach?: readonly string[]
  readonly color?: boolean
  readonly deps?: boolean
  readonly logPrefix?: boolean
  readonly start?: boolean
  readonly quietBuild?: boolean
  readonly renewAnonVolumes?: boolean
  readonly timeout?: number
  readonly timestamps?: boolean
  readonly wait?: boolean
  readonly waitTimeout?: number
  readonly watch?: boolean
}
