import { connect, createServer, type Server } from 'node:net'
import { errnoOf, TcomposeError, throwIfAborted } from '../base/errors.ts'
import { nodeCrypto } from '../base/node-crypto.ts'

/** A held lock; disposing releases it. It also dies with the process, however that ends. */
export interface Lock extends AsyncDisposable {
  readonly name: string
}

export interface LockOptions {
  readonly signal?: AbortSignal | undefined
  /** Fail with CONFLICT at once instead of waiting. */
  readonly noWait?: boolean
}

/**
 * Takes the lock called `name` within `scope` (the state root's secret), waiting for its holder.
 *
 * A lock is a listening socket in the kernel's abstract namespace: binding it is atomic, it vanishes with its process,
 * and those who wait hold a connection to it, whose end wakes them without polling. Abstract names belong to the
 * network namespace, so everyone who shares a state root must run in the same one.
 */
export async function acquireLock(scope: string, name: string, options: LockOptions = {}): Promise<Lock> {
  const address = `\0tcompose-lock-${nodeCrypto().hash('sha256', `${scope}\n${name}`, 'hex').slice(0, 40)}`
  for (;;) {
    throwIfAborted(options.signal)
    const server = await tryListen(address)
    if (server) return { name, [Symbol.asyncDispose]: () => close(server) }
    if (options.noWait) throw new TcomposeError('CONFLICT', `${name} is locked by another process`)
    await released(address, options.signal)
  }
}

/** Runs `work` while holding the lock. */
export async function withLock<T>(
  scope: string,
  name: string,
  work: () => Promise<T>,
  options?: LockOptions,
): Promise<T> {
  await using _lock = await acquireLock(scope, name, options)
  return await work()
}

interface Listener {
  readonly server: Server
  readonly waiters: Set<import('node:net').Socket>
}

function tryListen(address: string): Promise<Listener | undefined> {
  const waiters: Listener['waiters'] = new Set()
  const server = createServer((socket) => {
    waiters.add(socket)
    socket.unref()
    socket.on('error', () => {})
    socket.on('close', () => waiters.delete(socket))
  })
  return new Promise((resolve, reject) => {
    server.once('error', (error) => (errnoOf(error) === 'EADDRINUSE' ? resolve(undefined) : reject(error)))
    server.listen(address, () => resolve({ server, waiters }))
  })
}

function close({ server, waiters }: Listener): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    for (const socket of waiters) socket.destroy()
  })
}

function released(address: string, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(address)
    const done = () => {
      signal?.removeEventListener('abort', done)
      socket.destroy()
      resolve()
    }
    socket.on('error', done)
    socket.on('close', done)
    socket.resume()
    signal?.addEventListener('abort', done, { once: true })
  })
}
