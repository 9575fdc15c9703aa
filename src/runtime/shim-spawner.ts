import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { sleep } from '../base/concurrency.ts'
import { TcomposeError } from '../base/errors.ts'
import { isAlive, type ProcessIdentity, processStart } from '../platform/process.ts'

/** A shim's process with its launching connection. */
export interface SpawnedShim {
  readonly identity: ProcessIdentity
  readonly connection: Socket
  /** Settles when the process has ended. */
  gone(): Promise<void>
  /** Lets our own process end before it. */
  unref(): void
}

/** Connections a spawner is given at its start: as many shims it can launch. */
const CONNECTIONS = 16
const CONTROL = 3

let launches = 0
let spawner: Spawner | undefined

/**
 * Starts `program run BUNDLE` with a connection to it on fd 3. Starting a process costs one of Node's size some 10 ms of
 * processor time; from the second shim on that is left to a small process of our own, which forks in a fraction of it.
 */
export async function spawnShim(program: string, bundle: string): Promise<SpawnedShim> {
  if (launches++ === 0) return spawnDirectly(program, bundle)
  if (spawner?.program !== program || spawner.free.length === 0) {
    spawner?.retire()
    spawner = startSpawner(program)
  }
  return await spawner.launch(bundle)
}

function environment(): Record<string, string> {
  return process.env.PATH === undefined ? {} : { PATH: process.env.PATH }
}

async function spawnDirectly(program: string, bundle: string): Promise<SpawnedShim> {
  const child = spawn(program, ['run', bundle], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    detached: true,
    env: environment(),
  })
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()))
  if (child.pid === undefined) {
    const [error] = await new Promise<[Error]>((resolve) => child.once('error', (cause) => resolve([cause])))
    throw error
  }
  return {
    identity: { pid: child.pid, start: processStart(child.pid) ?? '' },
    // A `pipe` beyond the standard three is one end of a socket pair: both sides may speak.
    connection: child.stdio[CONTROL] as unknown as Socket,
    gone: () => gone,
    unref: () => child.unref(),
  }
}

interface Spawner {
  readonly program: string
  readonly free: number[]
  launch(bundle: string): Promise<SpawnedShim>
  /** Takes no more; ends when all it was asked for is done. */
  retire(): void
}

function startSpawner(program: string): Spawner {
  const pipes = Array.from({ length: CONNECTIONS + 1 }, () => 'pipe' as const)
  const child: ChildProcess = spawn(program, ['spawn'], {
    stdio: ['ignore', 'ignore', 'ignore', ...pipes],
    detached: true,
    env: environment(),
  })
  const socketOf = (fd: number): Socket => child.stdio[fd] as unknown as Socket
  const free = Array.from({ length: CONNECTIONS }, (_, index) => CONTROL + 1 + index)
  const waiting = new Map<number, PromiseWithResolvers<number>>()
  const fail = (cause?: Error): void => {
    const error = new TcomposeError('UNAVAILABLE', 'the starter of shims has ended', { cause })
    for (const one of waiting.values()) one.reject(error)
    waiting.clear()
    free.length = 0
  }
  child.on('error', fail)
  child.on('exit', () => fail())
  const control = socketOf(CONTROL)
  control.on('error', () => {})
  let held = ''
  control.on('data', (chunk: Buffer) => {
    const lines = (held + chunk.toString('latin1')).split('\n')
    held = lines.pop() ?? ''
    for (const line of lines) {
      const [fd, pid] = line.split(' ').map(Number)
      waiting.get(fd ?? 0)?.resolve(pid ?? 0)
      waiting.delete(fd ?? 0)
    }
  })
  // None of this keeps our process alive; a launch under way does, by its connection.
  child.unref()
  control.unref()
  for (const fd of free)
    socketOf(fd)
      .unref()
      .on('error', () => {})
  return {
    program,
    free,
    async launch(bundle) {
      const fd = free.shift()
      if (fd === undefined) throw new Error('the spawner has no connection left')
      const answer = Promise.withResolvers<number>()
      waiting.set(fd, answer)
      const connection = socketOf(fd)
      connection.ref()
      control.ref()
      control.write(`${fd} ${bundle}\n`)
      try {
        const pid = await answer.promise
        if (pid === 0) throw new TcomposeError('UNAVAILABLE', 'no process could be started for the shim')
        const identity = { pid, start: processStart(pid) ?? '' }
        return { identity, connection, gone: () => gone(identity), unref: () => {} }
      } catch (error) {
        connection.destroy()
        throw error
      } finally {
        if (waiting.size === 0) control.unref()
      }
    },
    retire() {
      for (const fd of free.splice(0)) socketOf(fd).destroy()
      control.end()
    },
  }
}

/** It is no child of ours: its end is seen by looking. */
async function gone(identity: ProcessIdentity): Promise<void> {
  for (let pauseMs = 1; isAlive(identity); pauseMs = Math.min(pauseMs * 2, 20)) await sleep(pauseMs)
}
