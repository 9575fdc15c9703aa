import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { sleep } from '../base/concurrency.ts'
import { TcomposeError, throwIfAborted } from '../base/errors.ts'
import type { EnginePaths } from '../engine/state/paths.ts'
import { withLock } from '../platform/lock.ts'
import { AGENT_START_LOCK, agentBuild, agentScript, firstLine, type Greeting, QUIT } from './protocol.ts'

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
const GREETING_TIMEOUT_MS = 10_000

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
    const found = await greet(paths)
    if (found?.greeting.build === build) return hold(found)
    found?.socket.destroy()
    if (Date.now() > deadline || !isThere(pid)) {
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

interface Running {
  readonly socket: Socket
  readonly greeting: Greeting
}

/** Connects to an agent and reads who it is; undefined when there is none, or it is just ending. */
function greet(paths: EnginePaths): Promise<Running | undefined> {
  return new Promise((resolve) => {
    const socket = connect(paths.agentSocket)
    let text = ''
    const give = (running?: Running): void => {
      clearTimeout(timer)
      if (!running) socket.destroy()
      resolve(running)
    }
    const timer = setTimeout(() => give(), GREETING_TIMEOUT_MS)
    socket.on('error', () => give())
    socket.on('close', () => give())
    socket.on('data', (chunk) => {
      text += chunk.toString()
      const line = firstLine(text)
      if (line !== undefined) give({ socket, greeting: JSON.parse(line) as Greeting })
    })
  })
}

function hold({ socket, greeting }: Running): AgentHold {
  socket.unref()
  return { pid: greeting.pid, [Symbol.dispose]: () => void socket.destroy() }
}
