import { spawn } from 'node:child_process'
import { createReadStream, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Engine } from '../../src/engine/engine.ts'
import { openEngine } from '../../src/engine/open.ts'
import { type EnginePaths, enginePaths } from '../../src/engine/state/paths.ts'
import { eventually } from './eventually.ts'
import { rootTarball } from './images.ts'
import { findLeaks, processes } from './leaks.ts'

export interface Result {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  readonly cwd?: string
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
  /** Called with the pid as soon as the command runs. */
  readonly onSpawn?: (pid: number) => void
  readonly signal?: AbortSignal
}

/** A state root and a project folder of the test's own. Disposing takes everything down and fails if anything is left. */
export interface Workspace extends AsyncDisposable {
  readonly dir: string
  readonly paths: EnginePaths
  readonly env: NodeJS.ProcessEnv
  /** Unique, for project names and the like. */
  readonly id: string
  /** Writes files below `dir`; gives `dir`. */
  write(files: Readonly<Record<string, string>>): string
  /** Runs dist/tcompose; never throws for an exit code. */
  tcompose(args: readonly string[], options?: CommandOptions): Promise<Result>
  /** As `tcompose`, and throws with the output unless the exit code is 0. */
  ok(args: readonly string[], options?: CommandOptions): Promise<Result>
  engine(): Promise<Engine>
}

const program = join(import.meta.dirname, '../../dist/tcompose')

/** @param images root tarballs to import as `busybox:latest` / `debian:bookworm-slim` */
export async function createWorkspace(images: readonly ('busybox' | 'debian')[] = ['busybox']): Promise<Workspace> {
  const base = mkdtempSync(join(tmpdir(), 'tct-'))
  const dir = join(base, 'project')
  mkdirSync(dir)
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    TCOMPOSE_ROOT: join(base, 'root'),
    TCOMPOSE_RUN: join(base, 'run'),
    NO_COLOR: '1',
  }
  for (const name of Object.keys(env)) if (name.startsWith('COMPOSE_')) delete env[name]
  const paths = enginePaths(env)
  const engines: Engine[] = []
  const workspace: Workspace = {
    dir,
    paths,
    env,
    id: base.slice(-6).toLowerCase(),
    write(files) {
      for (const [name, text] of Object.entries(files)) {
        mkdirSync(dirname(join(dir, name)), { recursive: true })
        writeFileSync(join(dir, name), text)
      }
      return dir
    },
    tcompose: (args, options = {}) =>
      runCommand(args, { cwd: dir, ...options, env: { ...(env as Record<string, string>), ...options.env } }),
    async ok(args, options) {
      const result = await workspace.tcompose(args, options)
      if (result.code !== 0)
        throw new Error(`tcompose ${args.join(' ')}: exit code ${result.code}\n${result.stdout}${result.stderr}`)
      return result
    },
    async engine() {
      const engine = await openEngine({ env })
      engines.push(engine)
      return engine
    },
    async [Symbol.asyncDispose]() {
      for (const engine of engines) await engine[Symbol.asyncDispose]()
      await takeDown(env, paths, base)
    },
  }
  if (images.length > 0) {
    const engine = await openEngine({ env })
    for (const kind of images) {
      const reference = kind === 'busybox' ? 'busybox:latest' : 'debian:bookworm-slim'
      await engine.images.import(createReadStream(rootTarball(kind)), { reference, config: { Cmd: ['sh'] } })
    }
    await engine[Symbol.asyncDispose]()
  }
  return workspace
}

function runCommand(args: readonly string[], options: CommandOptions): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env,
      stdio: ['pipe', 'pipe', 'pipe'],
      signal: options.signal,
    })
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
    child.stdin.on('error', () => {})
    child.stdin.end(options.input ?? '')
    child.on('error', (error) => (error.name === 'AbortError' ? undefined : reject(error)))
    if (child.pid !== undefined) options.onSpawn?.(child.pid)
    child.on('close', (code, signal) =>
      resolve({
        code: code ?? (signal === 'SIGKILL' ? 137 : 143),
        stdout: Buffer.concat(out).toString(),
        stderr: Buffer.concat(err).toString(),
      }),
    )
  })
}

/** Removes every container, network and volume, ends the agent, checks that nothing is left, removes the folder. */
async function takeDown(env: NodeJS.ProcessEnv, paths: EnginePaths, base: string): Promise<void> {
  const engine = await openEngine({ env })
  const bridges: string[] = []
  try {
    await engine.reconcile()
    for (const container of await engine.containers.list())
      await engine.containers.remove(container.id, { force: true, volumes: true })
    for (const network of await engine.networks.list()) {
      bridges.push(network.bridge)
      if (!['bridge', 'host', 'none'].includes(network.name)) await engine.networks.remove(network.id)
    }
    for (const volume of await engine.volumes.list()) await engine.volumes.remove(volume.name, { force: true })
    await engine.reconcile()
  } finally {
    await engine[Symbol.asyncDispose]()
  }
  endAgent(paths)
  await eventually(() => {
    const leaks = findLeaks(
      paths,
      bridges.filter((bridge) => bridge !== ''),
    )
    if (leaks.length > 0) throw new Error(`left behind:\n${leaks.join('\n')}`)
  }, 30_000)
  rmSync(base, { recursive: true, force: true })
}

function endAgent(paths: EnginePaths): void {
  for (const line of processes(paths)) {
    const pid = Number(line.split(' ')[0])
    if (/ agent\b/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')))
      process.kill(pid, 'SIGTERM')
  }
}
