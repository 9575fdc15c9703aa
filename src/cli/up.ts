import { TcomposeError } from '../base/errors.ts'
import { silent } from '../base/progress.ts'
import type { Project } from '../compose/types.ts'
import { type Convergence, planConvergence, withScale } from '../project/converge.ts'
import { confirm } from '../ui/prompt.ts'
import { createBuildOutput } from './build-output.ts'
import { isTrue } from './globals.ts'
import { checkChoice, POLICIES, parseScale } from './options.ts'
import type { Session } from './session.ts'
import type { CreateOptions, UpOptions } from './up-options.ts'
import { withWaitTimeout } from './wait-timeout.ts'

/** `up`, attached or not. */
export async function up(session: Session, services: readonly string[], options: UpOptions): Promise<void> {
  const loaded = await session.project({ services, noDeps: options.deps === false })
  if (Object.keys(loaded.services).length === 0 && !session.globals.allResources) {
    throw new TcomposeError('INVALID', 'no service selected', {
      hint: 'the file has no services, or profiles disable them',
    })
  }
  if (options.menu === true) session.warn('--menu is not supported: there are no keyboard shortcuts, use --watch or -d')
  const project = withScale(loaded, parseScale(options.scale ?? []))
  checkServiceNames(project, [...(options.attach ?? []), ...(options.exitCodeFrom ? [options.exitCodeFrom] : [])])
  const start = options.start !== false
  const detached = options.detach || options.wait || !start
  const convergence = await converge(session, project, services, options, { start, wait: options.wait ?? false })
  if (session.dryRun || detached) {
    await withWaitTimeout(session, options.wait ? options.waitTimeout : undefined, (signal) =>
      session.execute(convergence.plan, {
        signal,
        onOutput: (_source, stream, text) => void process[stream].write(text),
      }),
    )
    return
  }
  const { upAttached } = await import('./up-attached.ts')
  session.exitCode = await upAttached(session, convergence, services, options)
}

/** `create`, and `up --no-start`. */
export async function create(session: Session, services: readonly string[], options: CreateOptions): Promise<void> {
  const loaded = await session.project({ services })
  const project = withScale(loaded, parseScale(options.scale ?? []))
  const { plan } = await converge(session, project, services, options, { start: false, wait: false })
  await session.execute(plan)
}

/** Images and the plan, as the flags say. */
export async function converge(
  session: Session,
  project: Project,
  services: readonly string[],
  options: UpOptions,
  phase: { readonly start: boolean; readonly wait: boolean; readonly oneOff?: string },
): Promise<Convergence> {
  checkChoice(options.pull, POLICIES, '--pull')
  const { emit } = session.dryRun ? { emit: silent } : await session.progress()
  const engine = await session.engine()
  const output = createBuildOutput({
    stream: process.stdout,
    quiet: options.quietBuild ?? session.globals.progress === 'quiet',
  })
  // The project's .env may set these too.
  const known: NodeJS.ProcessEnv = { ...project.environment, ...session.env }
  const removeOrphans = options.removeOrphans ?? isTrue(known.COMPOSE_REMOVE_ORPHANS)
  const ignoreOrphans = isTrue(known.COMPOSE_IGNORE_ORPHANS)
  if (removeOrphans && ignoreOrphans) {
    throw new TcomposeError('INVALID', 'cannot combine COMPOSE_IGNORE_ORPHANS and --remove-orphans')
  }
  const forced = options.forceRecreate || options.renewAnonVolumes
  const recreate = options.recreate === false ? 'never' : forced ? 'force' : 'diverged'
  return planConvergence(project, engine, {
    emit: options.quietPull ? quietPulls(emit) : emit,
    signal: session.signal,
    services,
    pull: options.pull,
    build: options.build === true,
    noBuild: options.build === false,
    recreate,
    recreateDependencies: options.recreate === false ? 'never' : options.alwaysRecreateDeps ? 'force' : 'diverged',
    inheritVolumes: !options.renewAnonVolumes,
    orphans: removeOrphans ? 'remove' : ignoreOrphans ? 'ignore' : 'warn',
    timeoutSeconds: options.timeout,
    start: phase.start,
    wait: phase.wait,
    oneOff: phase.oneOff,
    separator: session.globals.compatibility ? '_' : '-',
    dryRun: session.dryRun,
    insecureRegistries: session.globals.insecureRegistries,
    concurrency: session.globals.parallel,
    onBuildEvent: (service, event) => output.show(service, event),
    onWarning: (message) => session.warn(message),
    confirmVolume: async (name) => {
      if (options.yes || options.y) return true
      if (session.dryRun) return false
      return confirm(
        `Volume ${JSON.stringify(name)} exists but doesn't match configuration in compose file. Recreate (data will be lost)?`,
        false,
        { input: process.stdin, output: process.stderr },
        session.signal,
      )
    },
  })
}

/** Layers are not shown one by one; that an image is pulled is. */
function quietPulls(emit: (event: Parameters<typeof silent>[0]) => void): typeof silent {
  return (event) => {
    if (event.parentId === undefined) emit(event)
  }
}

function checkServiceNames(project: Project, names: readonly string[]): void {
  for (const name of names) {
    if (project.services[name] === undefined) throw new TcomposeError('NOT_FOUND', `no such service: ${name}`)
  }
}
