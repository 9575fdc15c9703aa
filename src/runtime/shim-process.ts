import { constants } from 'node:os'
import { Readable, Writable } from 'node:stream'
import { TcomposeError } from '../base/errors.ts'
import { Frame, type ReceivedFrame } from './shim-frames.ts'
import type { FrameSocket } from './shim-socket.ts'
import type { ShimExit, ShimProcess } from './shim-types.ts'

/** Largest piece of stdin in one frame. */
const STDIN_PIECE = 65_536

/** The number of `SIGTERM`, `TERM`, `15` or 15. @throws TcomposeError INVALID */
export function signalNumber(signal: string | number): number {
  if (typeof signal === 'number') return signal
  if (/^\d+$/.test(signal)) return Number(signal)
  const name = signal.toUpperCase().replace(/^(?!SIG)/, 'SIG')
  const number = (constants.signals as Readonly<Record<string, number>>)[name] ?? realTime(name)
  if (number === undefined) throw new TcomposeError('INVALID', `invalid signal: ${signal}`)
  return number
}

function realTime(name: string): number | undefined {
  const fields = /^SIGRT(MIN|MAX)(?:([+-])(\d+))?$/.exec(name)
  if (!fields) return undefined
  const offset = Number(`${fields[2] ?? '+'}${fields[3] ?? '0'}`)
  return (fields[1] === 'MIN' ? 34 : 64) + offset
}

/** A process's streams over the connection that carries them, for whoever feeds it that connection's frames. */
export interface ProcessFeed {
  readonly process: ShimProcess
  output(frame: ReceivedFrame): void
  /** It has ended: streams end, then `exit` settles. */
  end(exit: ShimExit): void
  /** It never will be known how it ended. */
  fail(error: TcomposeError): void
  drain(): void
}

export function processFeed(frames: FrameSocket, pid: () => number, detach: () => void): ProcessFeed {
  const exit = Promise.withResolvers<ShimExit>()
  // Whoever does not ask how it ended need not hear that it is unknown.
  exit.promise.catch(() => {})
  let over = false
  let waiting: (() => void) | undefined
  const full = new Set<Readable>()
  const open = (): Readable => {
    const stream = new Readable({
      highWaterMark: 256 * 1024,
      read: () => {
        full.delete(stream)
        if (full.size === 0) frames.resume()
      },
    })
    // A stream that someone destroys must not hold the other one back.
    stream.on('close', () => {
      full.delete(stream)
      if (full.size === 0) frames.resume()
    })
    stream.on('error', () => {})
    return stream
  }
  const stdout = open()
  const stderr = open()
  const stdin = new Writable({
    highWaterMark: STDIN_PIECE,
    write: (chunk: Buffer, _encoding, done) => {
      let roomy = true
      for (let at = 0; at < chunk.length; at += STDIN_PIECE) {
        roomy = frames.send(Frame.stdin, chunk.subarray(at, at + STDIN_PIECE))
      }
      if (roomy || over) done()
      else waiting = done
    },
    final: (done) => {
      frames.send(Frame.closeStdin)
      done()
    },
  })
  stdin.on('error', () => {})
  const release = (): void => {
    const done = waiting
    waiting = undefined
    done?.()
  }
  const process: ShimProcess = {
    get pid() {
      return pid()
    },
    stdin,
    stdout,
    stderr,
    resize: ({ columns, rows }) => {
      const payload = Buffer.alloc(4)
      payload.writeUInt16BE(Math.min(rows, 0xffff), 0)
      payload.writeUInt16BE(Math.min(columns, 0xffff), 2)
      frames.send(Frame.resize, payload)
    },
    signal: (signal) => void frames.send(Frame.signal, undefined, signalNumber(signal)),
    exit: exit.promise,
    detach,
  }
  return {
    process,
    output: ({ stream, payload }) => {
      const target = stream === 2 ? stderr : stdout
      if (over || target.destroyed || target.push(payload)) return
      full.add(target)
      frames.pause()
    },
    end: (status) => {
      over = true
      release()
      stdout.push(null)
      stderr.push(null)
      exit.resolve(status)
    },
    fail: (error) => {
      if (over) return
      over = true
      release()
      stdout.push(null)
      stderr.push(null)
      exit.reject(error)
    },
    drain: release,
  }
}
