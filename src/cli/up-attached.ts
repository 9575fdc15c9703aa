import { isTcomposeError, TcomposeError } from '../base/errors.ts'
import type { Emit } from '../base/progress.ts'
import type { Engine } from '../engine/engine.ts'
import type { Convergence } from '../project/converge.ts'
import { executePlan } from '../project/execute.ts'
import { observe } from '../project/observed.ts'
import type { Plan } from '../project/plan.ts'
import { planSignal, planStopServices, selectContainers } from '../project/plan-lifecycle.ts'
import { createLogPrinter, type LogPrinter } from '../ui/logs.ts'
import { attachedServices } from './attached-services.ts'
import { type ContainerExit, createMonitor, type Monitor } from './monitor.ts'
import { writeReports } from './run-report.ts'
import type { Session } from './session.ts'
import type { UpOptions } from './up-options.ts'

/**
 * Starts the plan's containers with their output on ours, until they have all ended or something ends them.
 * @returns the exit code
 */
export async function upAttached(
  session: Session,
  convergence: Convergence,
  services: readonly string[],
  options: UpOptions,
): Promise<number> {
  const engine = await session.engine()
  const { project, plan } = convergence
  const shown = attachedServices(project, services, options)
  const printer = createLogPrinter({
    stdout: process.stdout,
    stderr: process.stderr,
    names: plan.containers.filter((one) => shown.has(one.service)).map((one) => one.shortName),
    color: options.color !== false && session.color(process.stdout),
    prefix: options.logPrefix !== false,
    timestamps: options.timestamps ?? false,
  })
  const run: AttachedRun = { session, engine, plan, services, options, printer, emit: await attachedEmit(session) }
  const monitor = createMonitor(engine, {
    printer,
    shows: (service) => shown.has(service),
    keepsUp: (service) =>
      services.length === 0 || services.includes(service) || options.attach?.includes(service) === true,
    startedAt: new Date().toISOString(),
    timestamps: options.timestamps ?? false,
    onFirstOutput: run.emit.startLogs,
  })
  let code = 1
  try {
    code = await superviseUp(run, monitor)
    return code
  } finally {
    await printer.flush()
    writeReports(project.name, monitor.runs(), { exitCode: code, junit: options.junit, env: session.env })
  }
}

interface AttachedRun {
  readonly session: Session
  readonly engine: Engine
  readonly plan: Plan
  readonly services: readonly string[]
  readonly options: UpOptions
  readonly printer: LogPrinter
  readonly emit: AttachedEmit
}

type Reason =
  | { readonly kind: 'ended' }
  | { readonly kind: 'exit'; readonly exit: ContainerExit }
  | { readonly kind: 'interrupt'; readonly count: number }
  | { readonly kind: 'failed'; readonly error: unknown }

async function superviseUp(run: AttachedRun, monitor: Monitor): Promise<number> {
  const { session, plan, options, emit } = run
  const abort = new AbortController()
  const interrupted = Promise.withResolvers<Reason>()
  const forced = Promise.withResolvers<void>()
  session.interrupts.handle((_name, count) => {
    if (count === 1) interrupted.resolve({ kind: 'interrupt', count })
    else if (count === 2) forced.resolve()
    else process.exit(130)
  })
  const starting = start(run, monitor, abort.signal)
  const cascade = cascadeOf(options)
  const everything = (async (): Promise<Reason> => {
    await starting
    // A rebuild ends containers: with --watch only Ctrl-C ends us.
    await (options.watch ? watchFiles(run, abort.signal) : monitor.ended())
    return { kind: 'ended' }
  })().catch((error: unknown): Reason => ({ kind: 'failed', error }))
  const aborting =
    cascade === undefined
      ? new Promise<never>(() => {})
      : monitor
          .firstExit((exit) => cascade === 'any' || exit.exitCode !== 0)
          .then((exit): Reason => ({ kind: 'exit', exit }))
  const reason = await Promise.race([everything, aborting, interrupted.promise])
  switch (reason.kind) {
    case 'ended':
      return exitCodeOf(monitor, options, 0)
    case 'failed': {
      if (cascade === undefined && !options.exitCodeFrom) throw reason.error
      monitor.stopping()
      await stopAll(run, forced.promise, []).catch(() => {})
      throw reason.error
    }
    case 'exit': {
      monitor.stopping()
      emit.note('Aborting on container exit...')
      abort.abort(new TcomposeError('CANCELED', 'interrupted'))
      await starting.catch(ignoreCanceled)
      await stopAll(run, forced.promise, [])
      await monitor.ended()
      return exitCodeOf(monitor, options, reason.exit.exitCode)
    }
    case 'interrupt': {
      monitor.stopping()
      emit.note('Gracefully Stopping... press Ctrl+C again to force')
      abort.abort(new TcomposeError('CANCELED', 'interrupted'))
      await starting.catch(ignoreCanceled)
      await stopAll(run, forced.promise, run.services)
      await monitor.ended()
      return options.exitCodeFrom ? exitCodeOf(monitor, options, 130) : 130
    }
  }

  function ignoreCanceled(error: unknown): void {
    if (!isTcomposeError(error, 'CANCELED')) throw error
  }

  async function start(own: AttachedRun, watcher: Monitor, signal: AbortSignal): Promise<void> {
    for (const container of plan.containers) {
      if (container.running) watcher.add(container)
    }
    for (const message of plan.warnings) session.warn(message)
    const byId = new Map(plan.containers.map((one) => [one.id, one]))
    await executePlan({ ...plan, warnings: [] }, own.engine, {
      emit: emit.emit,
      signal,
      concurrency: session.globals.parallel,
      beforeStart: () => session.ensureAgent(),
      onWarning: (message) => session.warn(message),
      onOutput: (source, stream, text) => {
        emit.startLogs()
        void own.printer.write(shortOf(source, plan), stream, text)
      },
      onDone: (operation) => {
        const { action } = operation
        if (action.kind !== 'startContainer' && action.kind !== 'unpauseContainer') return
        const started = byId.get(action.container.id)
        if (started) watcher.add(started)
      },
    })
  }
}

/** `--watch`: files are followed beside the output. */
async function watchFiles(run: AttachedRun, signal: AbortSignal): Promise<void> {
  const { followFiles } = await import('./follow-files.ts')
  await followFiles(run.session, run.services, { prune: true, quiet: run.options.quietBuild ?? false }, signal)
}

function shortOf(name: string, plan: Plan): string {
  return name.startsWith(`${plan.project}-`) || name.startsWith(`${plan.project}_`)
    ? name.slice(plan.project.length + 1)
    : name
}

/** Which exits stop everything. `--exit-code-from` means any, unless failures are asked for. */
function cascadeOf(options: UpOptions): 'any' | 'failure' | undefined {
  if (options.abortOnContainerFailure) return 'failure'
  if (options.abortOnContainerExit || options.exitCodeFrom !== undefined) return 'any'
  return undefined
}

function exitCodeOf(monitor: Monitor, options: UpOptions, otherwise: number): number {
  if (options.exitCodeFrom === undefined) return otherwise
  return monitor.exitCodeOf(options.exitCodeFrom) ?? otherwise
}

/** Stops services (all, without names) gently; kills them when forced. */
async function stopAll(run: AttachedRun, forced: Promise<void>, services: readonly string[]): Promise<void> {
  const { engine, plan, emit, printer, options } = run
  const observed = await observe(engine, plan.project)
  const project = await run.session.project({ services: [], keepOthers: true }).catch(() => undefined)
  const stop = planStopServices(plan.project, project, observed, { services, timeoutSeconds: options.timeout })
  const gently = executePlan(stop, engine, {
    emit: emit.emit,
    onOutput: (source, stream, text) => void printer.write(shortOf(source, plan), stream, text),
  })
  await Promise.race([
    gently,
    forced.then(async () => {
      const kill = planSignal(plan.project, selectContainers(observed, services), { kind: 'kill', signal: 'SIGKILL' })
      await executePlan(kill, engine, { emit: emit.emit })
      await gently.catch(() => {})
    }),
  ])
}

interface AttachedEmit {
  readonly emit: Emit
  /** From now on lines of containers come: nothing may be drawn over any more. */
  readonly startLogs: () => void
  readonly note: (text: string) => void
}

/** On a terminal the drawing ends with the first line of output; what comes later is shown as plain lines. */
async function attachedEmit(session: Session): Promise<AttachedEmit> {
  const first = await session.progress()
  const { createProgress } = await import('../ui/progress.ts')
  const draws =
    (session.globals.progress === 'auto' && process.stderr.isTTY === true) || session.globals.progress === 'tty'
  if (!draws) {
    return { emit: first.emit, startLogs: () => {}, note: (text) => void process.stderr.write(`${text}\n`) }
  }
  const plain = await createProgress({ mode: 'plain', stream: process.stderr, color: session.color(process.stderr) })
  let started = false
  const startLogs = (): void => {
    if (started) return
    started = true
    void first.stop()
  }
  return {
    emit: (event) => (started ? plain : first).emit(event),
    startLogs,
    note: (text) => {
      startLogs()
      process.stderr.write(`${text}\n`)
    },
  }
}
