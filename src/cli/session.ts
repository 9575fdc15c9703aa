import type { Project } from '../compose/types.ts'
import type { Engine } from '../engine/engine.ts'
import type { Plan } from '../project/plan.ts'
import { wantsColor } from '../ui/color.ts'
import type { Progress } from '../ui/progress.ts'
import type { Globals } from './globals.ts'
import { createInterrupts, type Interrupts } from './interrupts.ts'
import type { LoadRequest } from './load.ts'

/** What a verb works with; each part is made when it is first asked for. */
export interface Session extends AsyncDisposable {
  readonly globals: Globals
  readonly env: NodeJS.ProcessEnv
  readonly interrupts: Interrupts
  /** Aborted by the first Ctrl-C, unless the verb handles it itself. */
  readonly signal: AbortSignal
  exitCode: number
  readonly dryRun: boolean
  setDryRun(): void
  engine(): Promise<Engine>
  project(request?: LoadRequest): Promise<Project>
  /** The name alone when `-p` is given without a file: labels then say the rest. */
  projectOrName(request?: LoadRequest): Promise<{ readonly name: string; readonly project: Project | undefined }>
  progress(): Promise<Progress>
  /** Runs a plan with progress on stderr; with `--dry-run` prints it instead. */
  execute(plan: Plan, extra?: ExecuteExtra): Promise<void>
  /** Makes sure the agent runs: called before anything is started. */
  ensureAgent(): Promise<void>
  color(stream: NodeJS.WriteStream): boolean
  write(text: string): void
  warn(message: string, at?: string): void
}

export interface ExecuteExtra {
  readonly signal?: AbortSignal | undefined
  readonly onOutput?: (source: string, stream: 'stdout' | 'stderr', text: string) => void
}

export function createSession(globals: Globals, env: NodeJS.ProcessEnv): Session {
  const stack = new AsyncDisposableStack()
  const interrupts = createInterrupts()
  stack.defer(() => interrupts.release())
  let engine: Promise<Engine> | undefined
  let progress: Promise<Progress> | undefined
  let agent: Promise<void> | undefined
  let dryRun = globals.dryRun
  const warned = new Set<string>()

  const session: Session = {
    globals,
    env,
    interrupts,
    signal: interrupts.signal,
    exitCode: 0,
    get dryRun() {
      return dryRun
    },
    setDryRun() {
      dryRun = true
    },
    engine() {
      engine ??= (async () => {
        const { openEngine } = await import('../engine/open.ts')
        const opened = await openEngine({ env })
        stack.use(opened)
        const { reviveAgent } = await import('../agent/ensure.ts')
        await reviveAgent(opened.paths, env)
        return opened
      })()
      return engine
    },
    async project(request = {}) {
      const { load } = await import('./load.ts')
      return load(session, request)
    },
    async projectOrName(request = {}) {
      if (globals.files.length === 0 && globals.projectName !== undefined) {
        return { name: globals.projectName, project: undefined }
      }
      const { load } = await import('./load.ts')
      try {
        const project = await load(session, request)
        return { name: project.name, project }
      } catch (error) {
        // A script may name a project by the environment alone.
        if (globals.files.length === 0 && env.COMPOSE_PROJECT_NAME && isMissingFile(error)) {
          return { name: env.COMPOSE_PROJECT_NAME, project: undefined }
        }
        throw error
      }
    },
    progress() {
      progress ??= (async () => {
        const { createProgress } = await import('../ui/progress.ts')
        const made = await createProgress({
          mode: globals.progress,
          stream: env.COMPOSE_STATUS_STDOUT ? process.stdout : process.stderr,
          color: session.color(process.stderr),
          dryRun,
        })
        stack.defer(() => made.stop())
        return made
      })()
      return progress
    },
    async execute(plan, extra = {}) {
      const { formatPlan } = await import('../project/plan.ts')
      for (const message of plan.warnings) session.warn(message)
      if (dryRun) {
        const text = formatPlan(plan)
        session.write(text === '' ? 'nothing to do\n' : `${text}\n`)
        return
      }
      const { executePlan } = await import('../project/execute.ts')
      const shown = await session.progress()
      // The agent comes up beside the first starts: shims hold questions until it is there. Nothing waits for its
      // probes in vain, and we do not end before it is known to be there.
      const noAgent = Promise.withResolvers<never>()
      const work = executePlan({ ...plan, warnings: [] }, await session.engine(), {
        emit: shown.emit,
        signal: extra.signal ?? session.signal,
        concurrency: globals.parallel,
        beforeStart: async () => void session.ensureAgent().catch(noAgent.reject),
        onWarning: (message) => session.warn(message),
        onOutput: extra.onOutput,
      })
      await Promise.race([work, noAgent.promise])
      await agent
    },
    ensureAgent() {
      agent ??= (async () => {
        const { ensureAgent } = await import('../agent/ensure.ts')
        // The hold is kept until we end: what we are about to start may need a moment to be seen.
        stack.use(await ensureAgent((await session.engine()).paths, env, { signal: interrupts.signal }))
      })()
      return agent
    },
    color: (stream) => wantsColor(stream, globals.ansi, env),
    write: (text) => void process.stdout.write(text),
    warn(message, at) {
      if (warned.has(message)) return
      warned.add(message)
      const color = session.color(process.stderr)
      const label = color ? '\x1b[33mWARN\x1b[0m' : 'WARN'
      process.stderr.write(`${label}[0000] ${at === undefined ? '' : `${at}: `}${message}\n`)
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
  return session
}

function isMissingFile(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'NOT_FOUND'
}
