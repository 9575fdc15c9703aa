import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { sleep } from '../base/concurrency.ts'
import { TcomposeError, throwIfAborted } from '../base/errors.ts'
import type { EnginePaths } from '../engine/state/paths.ts'
import { withLock } from '../platform/lock.ts'
import { greet, type Running } from './greet.ts'
import { AGENT_START_LOCK, agentBuild, agentScript, QUIT } from './protocol.ts'

export interface EnsureOptions {
  readonly signal?: AbortSignal | undefined
  /** Program and arguments; default: this Node with our own command line. */
  readonly command?: readonly string[]
  /** Default: of the code that calls. */
  readonly build?: string
}

/** Keeps the agent from ending for want of work. It never keeps this process alive, and ends with it. */
export interface AgentHold extends Disposable {
  readonly pid: number
}

const START_TIMEOUT_MS = 20_000

/**
 * Makes sure that the state root has an agent of this build, and that it stays until the hold is given up. Any number of
 * processes may ask at once; one of them starts it.
 * @throws TcomposeError UNAVAILABLE when it does not come up, with what it last said
 */
export async function ensureAgent(
  paths: EnginePaths,
  env: NodeJS.ProcessEnv,
  options: EnsureOptions = {},
): Promise<AgentHold> {
  const build = options.build ?? agentBuild()
  const running = await greet(paths)
  if (running?.greeting.build === build) return hold(running)
  running?.socket.destroy()
  return await withLock(paths.root, AGENT_START_LOCK, () => start(paths, env, build, options), {
    signal: options.signal,
  })
}

/**
 * Starts an agent if containers are there and theirs has been killed; waits for nothing. For every command that opens
 * the engine: without any container it costs the reading of a directory, else one connection.
 */
export async function reviveAgent(paths: EnginePaths, env: NodeJS.ProcessEnv): Promise<void> {
  if (!hasBundles(paths) || (await isListening(paths))) return
  await withLock(paths.root, AGENT_START_LOCK, async () => {
    if (!(await isListening(paths))) spawnAgent(paths, env, defaultCommand())
  })
}

function hasBundles(paths: EnginePaths): boolean {
  try {
    return readdirSync(paths.bundles).length > 0
  } catch {
    return false
  }
}

function isListening(paths: EnginePaths): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(paths.agentSocket)
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

async function start(
  paths: EnginePaths,
  env: NodeJS.ProcessEnv,
  build: string,
  options: EnsureOptions,
): Promise<AgentHold> {
  const running = await greet(paths)
  if (running?.greeting.build === build) return hold(running)
  // Of another build: the new one takes its place when it has let go of everything.
  running?.socket.end(QUIT)
  const pid = spawnAgent(paths, env, options.command ?? defaultCommand())
  const deadline = Date.now() + START_TIMEOUT_MS
  for (let pauseMs = 5; ; pauseMs = Math.min(pauseMs * 2, 100)) {
    throwIfAborted(options.signal)
    // Asked before: one that ends because another was quicker leaves that other to be found.
    const isAlive = isThere(pid)
    const found = await greet(paths)
    if (found?.greeting.build === build) return hold(found)
    found?.socket.destroy()
    if (Date.now() > deadline || !isAlive) {
      throw new TcomposeError('UNAVAILABLE', 'the agent does not start', { hint: lastWords(paths) })
    }
    await sleep(pauseMs, options.signal)
  }
}

function spawnAgent(paths: EnginePaths, env: NodeJS.ProcessEnv, command: readonly string[]): number {
  mkdirSync(paths.run, { recursive: true, mode: 0o700 })
  const log = openSync(agentLog(paths), 'w', 0o600)
  try {
    const child = spawn(command[0] as string, command.slice(1), {
      cwd: '/',
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...env, TCOMPOSE_ROOT: paths.root, TCOMPOSE_RUN: paths.run, ...SMALL_ENV },
    })
    child.on('error', () => {})
    child.unref()
    return child.pid ?? 0
  } finally {
    closeSync(log)
  }
}

/** It is there for days and has little to keep: memory counts more than speed of its garbage collector. */
const SMALL_FLAGS = ['--max-semi-space-size=1', '--optimize-for-size', '--v8-pool-size=1', '--no-warnings']
const SMALL_ENV = { MALLOC_ARENA_MAX: '1', UV_THREADPOOL_SIZE: '2' }

function defaultCommand(): readonly string[] {
  return [process.execPath, ...SMALL_FLAGS, agentScript(), 'agent']
}

export function agentLog(paths: EnginePaths): string {
  return `${paths.run}/agent.log`
}

function lastWords(paths: EnginePaths): string {
  try {
    const text = readFileSync(agentLog(paths), 'utf8').trim()
    return text === '' ? `${agentLog(paths)} is empty` : text.split('\n').slice(-3).join('\n')
  } catch {
    return `it left no ${agentLog(paths)}`
  }
}

function isThere(pid: number): boolean {
  try {
    return pid > 0 && process.kill(pid, 0)
  } catch {
    return false
  }
}

function hold({ socket, greeting }: Running): AgentHold {
  socket.unref()
  return { pid: greeting.pid, [Symbol.dispose]: () => void socket.destroy() }
}
