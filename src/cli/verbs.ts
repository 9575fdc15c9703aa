import type { Command } from 'commander'
import type { Session } from './session.ts'

/** What a verb's file exports: its options, its help, and its action. */
export interface VerbModule {
  /** Declares arguments and options on `command` and sets its action, which sets `session.exitCode` where it is not 0. */
  configure(command: Command, session: Session): void
}

export interface Verb {
  readonly name: string
  readonly aliases?: readonly string[]
  /** Empty: not shown in the overview. */
  readonly summary: string
  readonly group: 'project' | 'engine'
  readonly load: () => Promise<VerbModule>
}

const verb = (
  group: Verb['group'],
  name: string,
  summary: string,
  load: Verb['load'],
  aliases: readonly string[] = [],
): Verb => ({ group, name, summary, load, aliases })

/** Every verb there is. Loading one loads its own file only. */
export const VERBS: readonly Verb[] = [
  verb('project', 'attach', "Attach to a service's running container", () => import('./commands/attach.ts')),
  verb('project', 'build', 'Build or rebuild services', () => import('./commands/build.ts')),
  verb('project', 'commit', "Make an image of a service's container", () => import('./commands/commit.ts')),
  verb(
    'project',
    'config',
    'Check the compose file and print it in its full form',
    () => import('./commands/config.ts'),
    ['convert'],
  ),
  verb('project', 'cp', 'Copy files between a service container and this machine', () => import('./commands/cp.ts')),
  verb('project', 'create', 'Create containers without starting them', () => import('./commands/create.ts')),
  verb('project', 'down', 'Stop and remove containers and networks', () => import('./commands/down.ts')),
  verb('project', 'events', "Show the containers' events as they happen", () => import('./commands/events.ts')),
  verb('project', 'exec', 'Run a command in a running container', () => import('./commands/exec.ts')),
  verb('project', 'export', "Write a container's file system as a tar archive", () => import('./commands/export.ts')),
  verb('project', 'images', 'List the images of the containers', () => import('./commands/images.ts')),
  verb('project', 'kill', 'Send a signal to containers', () => import('./commands/kill.ts')),
  verb('project', 'logs', 'Show what containers have printed', () => import('./commands/logs.ts')),
  verb('project', 'ls', 'List the projects', () => import('./commands/ls.ts')),
  verb('project', 'pause', 'Freeze services', () => import('./commands/pause.ts')),
  verb('project', 'port', 'Print the published port of a container port', () => import('./commands/port.ts')),
  verb('project', 'ps', 'List containers', () => import('./commands/ps.ts')),
  verb('project', 'publish', 'Publish the project as an OCI artifact', () => import('./commands/publish.ts')),
  verb('project', 'pull', 'Pull images of services', () => import('./commands/pull.ts')),
  verb('project', 'push', 'Push images of services', () => import('./commands/push.ts')),
  verb('project', 'restart', 'Restart containers', () => import('./commands/restart.ts')),
  verb('project', 'rm', 'Remove stopped containers', () => import('./commands/rm.ts')),
  verb('project', 'run', 'Run a one-off command on a service', () => import('./commands/run.ts')),
  verb('project', 'scale', 'Set the number of containers of services', () => import('./commands/scale.ts')),
  verb('project', 'start', 'Start containers', () => import('./commands/start.ts')),
  verb('project', 'stats', "Show containers' use of the machine", () => import('./commands/stats.ts')),
  verb('project', 'stop', 'Stop containers', () => import('./commands/stop.ts')),
  verb('project', 'top', 'Show the running processes', () => import('./commands/top.ts')),
  verb('project', 'unpause', 'Let frozen services go on', () => import('./commands/unpause.ts')),
  verb('project', 'up', 'Create and start containers', () => import('./commands/up.ts')),
  verb('project', 'version', 'Show the version', () => import('./commands/version.ts')),
  verb('project', 'viz', 'Draw the project as a graph', () => import('./commands/viz.ts')),
  verb('project', 'volumes', 'List volumes', () => import('./commands/volumes.ts')),
  verb('project', 'wait', 'Wait until containers have ended', () => import('./commands/wait.ts')),
  verb('project', 'watch', 'Follow changes of files and update services', () => import('./commands/watch.ts')),
  verb('engine', 'api', 'Serve the Docker Engine API on a Unix socket', () => import('./commands/api.ts')),
  verb('engine', 'builder', 'Work with the build cache', () => import('./commands/builder.ts')),
  verb(
    'engine',
    'completion',
    'Print a completion script for bash, zsh or fish',
    () => import('./commands/completion.ts'),
  ),
  verb('engine', 'doctor', 'Check this machine and say what mends it', () => import('./commands/doctor.ts')),
  verb('engine', 'image', 'Work with images', () => import('./commands/image.ts')),
  verb('engine', 'login', 'Log in to a registry', () => import('./commands/login.ts')),
  verb('engine', 'logout', 'Forget the credentials of a registry', () => import('./commands/logout.ts')),
  verb('engine', 'network', 'Work with networks', () => import('./commands/network.ts')),
  verb('engine', 'system', 'Disk use, clean-up and facts', () => import('./commands/system.ts')),
  verb('engine', 'volume', 'Work with volumes', () => import('./commands/volume.ts')),
  verb('project', 'alpha', '', () => import('./commands/alpha.ts')),
  verb('project', 'bridge', '', () => import('./commands/bridge.ts')),
]

export function findVerb(name: string): Verb | undefined {
  return VERBS.find((one) => one.name === name || one.aliases?.includes(name))
}
