import { setTimeout } from 'node:timers/promises'
import { TcomposeError, throwIfAborted } from '../base/errors.ts'
import { encodeExec, encodeInterfaces } from './shim-encode.ts'
import { shimError } from './shim-errors.ts'
import { parseExit, readExit, shimIsAlive } from './shim-files.ts'
import { decodeStrings, Frame } from './shim-frames.ts'
import { type ProcessFeed, processFeed, signalNumber } from './shim-process.ts'
import { type FrameSocket, openShimSocket } from './shim-socket.ts'
import type { ExecRequest, NameServer, ShimConnection, ShimExit, ShimInterface, ShimProcess } from './shim-types.ts'

const LOOKS = 50
const LOOK_MS = 10

/** @throws TcomposeError NOT_FOUND when no shim listens there (any more), CANCELED */
export async function connectShim(bundle: string, signal?: AbortSignal | undefined): Promise<ShimConnection> {
  const frames = await openShimSocket(bundle, signal)
  const hello = Promise.withResolvers<number>()
  const connection = shimConnection(bundle, frames, hello.resolve, hello.reject)
  const abort = (): void => connection.close()
  signal?.addEventListener('abort', abort, { once: true })
  try {
    await hello.promise
  } catch (error) {
    connection.close()
    throwIfAborted(signal)
    throw error
  }
  // An abort later on ends the connection too: `exit` then rejects.
  return connection
}

function shimConnection(
  bundle: string,
  frames: FrameSocket,
  greeted: (pid: number) => void,
  refused: (error: Error) => void,
): ShimConnection {
  const exit = Promise.withResolvers<ShimExit>()
  exit.promise.catch(() => {})
  let pid = 0
  let closed = false
  let over = false
  let attached: ProcessFeed | undefined
  let names: NameServer | undefined
  const oomListeners: (() => void)[] = []
  const configurations: PromiseWithResolvers<void>[] = []

  frames.onFrame = (frame) => {
    switch (frame.type) {
      case Frame.hello:
        pid = frame.payload.readUInt32BE(0)
        greeted(pid)
        break
      case Frame.started:
        pid = frame.payload.readUInt32BE(0)
        break
      case Frame.output:
        attached?.output(frame)
        break
      case Frame.ended: {
        const status = parseExit(decodeStrings(frame.payload)[0] ?? '', bundle)
        over = true
        attached?.end(status)
        exit.resolve(status)
        break
      }
      case Frame.query:
        void answerQuery(frames, names, frame.payload, frame.stream === 1)
        break
      case Frame.oom:
        for (const listener of oomListeners) listener()
        break
      case Frame.done:
        configurations.shift()?.resolve()
        break
      case Frame.failed:
        configurations.shift()?.reject(shimError(frame.payload))
        break
    }
  }
  frames.onDrain = () => attached?.drain()
  frames.onClose = () => {
    if (over) return
    over = true
    void lostError(bundle, closed).then((error) => {
      refused(error)
      attached?.fail(error)
      // How it ended is known all the same; only what it wrote has been lost to us.
      const recorded = closed ? undefined : readExit(bundle)
      if (recorded) exit.resolve(recorded)
      else exit.reject(error)
      for (const waiting of configurations) waiting.reject(error)
    })
  }
  const close = (): void => {
    closed = true
    frames.close()
  }
  return {
    get pid() {
      return pid
    },
    exit: exit.promise,
    attach: (options = {}) => {
      if (attached) throw new Error('a connection is attached once')
      attached = processFeed(frames, () => pid, close)
      frames.send(Frame.attach, undefined, options.whenBehind === 'hold' ? 1 : 0)
      return attached.process
    },
    exec: (request, signal) => execInShim(bundle, request, signal),
    serveNames: (answer) => {
      names = answer
      frames.send(Frame.resolve)
    },
    onOom: (listener) => void oomListeners.push(listener),
    signal: (signal) => void frames.send(Frame.signal, undefined, signalNumber(signal)),
    configureInterfaces: (interfaces: readonly ShimInterface[]) => {
      const done = Promise.withResolvers<void>()
      configurations.push(done)
      frames.send(Frame.configure, encodeInterfaces(interfaces))
      return done.promise
    },
    close,
    [Symbol.asyncDispose]: async () => close(),
  }
}

/** Why a connection ended that was not over. A process that is killed lets go of its files before it counts as dead. */
async function lostError(bundle: string, closed: boolean): Promise<TcomposeError> {
  if (closed) return new TcomposeError('CANCELED', 'the connection to the shim was closed')
  for (let look = 0; look < LOOKS && shimIsAlive(bundle) && !readExit(bundle); look++) await setTimeout(LOOK_MS)
  return new TcomposeError(
    'UNAVAILABLE',
    shimIsAlive(bundle) || readExit(bundle)
      ? 'the shim cut the connection: it was too far behind'
      : 'the shim was killed',
  )
}

/** A query without an answer gets SERVFAIL, so that whoever asked goes on at once. */
async function answerQuery(
  frames: FrameSocket,
  names: NameServer | undefined,
  payload: Buffer,
  overTcp: boolean,
): Promise<void> {
  const id = payload.subarray(0, 4)
  const query = payload.subarray(4)
  let answer: Uint8Array | undefined
  try {
    answer = await names?.(query, overTcp)
  } catch {
    // Its own errors are the server's to report.
  }
  frames.send(Frame.answer, Buffer.concat([id, answer ?? serverFailure(query)]))
}

/** RFC 1035, 4.1.1: the header and question of the query, marked as a response with code 2. */
function serverFailure(query: Buffer): Buffer {
  const answer = Buffer.from(query)
  answer[2] = (query[2] ?? 0) | 0x80
  answer[3] = 0x82
  // Whatever follows the question (EDNS) is not repeated.
  answer.fill(0, 6, 12)
  return answer
}

/** Starts a process in the container, over a connection of its own. Aborting kills it when it runs already. */
export async function execInShim(
  bundle: string,
  request: ExecRequest,
  signal?: AbortSignal | undefined,
): Promise<ShimProcess> {
  const frames = await openShimSocket(bundle, signal)
  const started = Promise.withResolvers<ShimProcess>()
  let pid = 0
  let closed = false
  let over = false
  const close = (): void => {
    closed = true
    frames.close()
  }
  const feed = processFeed(frames, () => pid, close)
  const abort = (): void => {
    if (pid > 0) feed.process.signal('SIGKILL')
    else close()
  }
  const stop = (): void => signal?.removeEventListener('abort', abort)
  frames.onFrame = (frame) => {
    switch (frame.type) {
      case Frame.started:
        pid = frame.payload.readUInt32BE(0)
        started.resolve(feed.process)
        if (signal?.aborted) abort()
        break
      case Frame.output:
        feed.output(frame)
        break
      case Frame.execEnded: {
        const [exitCode, number] = (decodeStrings(frame.payload)[0] ?? '').split(' ').map(Number)
        stop()
        over = true
        feed.end({
          exitCode: exitCode ?? 0,
          signal: number ?? 0,
          oomKilled: false,
          finishedAt: BigInt(Date.now()) * 1_000_000n,
        })
        break
      }
      case Frame.failed:
        over = true
        started.reject(shimError(frame.payload))
        break
    }
  }
  frames.onDrain = () => feed.drain()
  frames.onClose = () => {
    stop()
    if (over) return
    void lostError(bundle, closed).then((error) => {
      started.reject(error)
      feed.fail(error)
    })
  }
  signal?.addEventListener('abort', abort, { once: true })
  frames.send(Frame.exec, encodeExec(request))
  return await started.promise
}
