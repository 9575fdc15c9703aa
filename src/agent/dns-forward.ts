import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect, isIPv6 } from 'node:net'
import { sleep } from '../base/concurrency.ts'
import { answersQuery, type Question, REFUSED, responseCode, SERVFAIL } from './dns-message.ts'

/** Asks the host's resolvers what no container answers to. */
export interface Forwarder {
  /** The first useful answer of `servers` (`address` or `address#port`); undefined when there is none. */
  forward(query: Buffer, question: Question, overTcp: boolean, servers: readonly string[]): Promise<Buffer | undefined>
}

const MAX_SERVERS = 3
const MAX_IN_FLIGHT = 1024
const TIMEOUT_MS = 4000
/** A server that has not answered by then gets company from the next. */
const NEXT_AFTER_MS = 1000

export function createForwarder(): Forwarder {
  let inFlight = 0
  return {
    async forward(query, question, overTcp, servers) {
      if (inFlight >= MAX_IN_FLIGHT) return undefined
      inFlight++
      try {
        return await askInTurn(query, question, overTcp ? askTcp : askUdp, servers.slice(0, MAX_SERVERS))
      } finally {
        inFlight--
      }
    },
  }
}

type Ask = (server: string, query: Buffer, question: Question, signal: AbortSignal) => Promise<Buffer>

async function askInTurn(
  query: Buffer,
  question: Question,
  ask: Ask,
  servers: readonly string[],
): Promise<Buffer | undefined> {
  const over = new AbortController()
  const tries: Promise<Buffer | undefined>[] = []
  /** Answers that say only that this server cannot: given when nobody has a better one. */
  let refusal: Buffer | undefined
  try {
    for (const server of servers) {
      const asked = askOne(server, query, question, ask, over.signal).then((answer) => {
        if (!answer || !isRefusal(answer)) return answer
        refusal ??= answer
        return undefined
      })
      tries.push(asked)
      const patience = sleep(NEXT_AFTER_MS, over.signal).catch(() => {})
      const answer = await Promise.race([firstOf(tries), asked, patience])
      if (answer) return answer
    }
    return (await firstOf(tries)) ?? refusal
  } finally {
    over.abort()
  }
}

/** The first of them that is an answer; undefined when none is. */
async function firstOf(tries: readonly Promise<Buffer | undefined>[]): Promise<Buffer | undefined> {
  try {
    return await Promise.any(tries.map(async (one) => (await one) ?? Promise.reject(new Error('no answer'))))
  } catch {
    return undefined
  }
}

function isRefusal(answer: Buffer): boolean {
  const code = responseCode(answer)
  return code === SERVFAIL || code === REFUSED
}

/** Under a number of our own, which a forger would have to guess together with the port. */
async function askOne(
  server: string,
  query: Buffer,
  question: Question,
  ask: Ask,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  const own = Buffer.from(query)
  own.writeUInt16BE(randomInt(65_536), 0)
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)])
    const answer = Buffer.from(await ask(server, own, question, limit))
    query.copy(answer, 0, 0, 2)
    return answer
  } catch {
    return undefined
  }
}

function askUdp(server: string, query: Buffer, question: Question, signal: AbortSignal): Promise<Buffer> {
  const { address, port } = parseServer(server)
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4')
    const end = (): void => {
      signal.removeEventListener('abort', abort)
      socket.close()
    }
    const fail = (error: unknown): void => {
      end()
      reject(error)
    }
    const abort = (): void => fail(signal.reason)
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    socket.on('error', fail)
    socket.on('message', (message) => {
      if (!answersQuery(message, query, question)) return
      end()
      resolve(message)
    })
    // Connected, so that only this server's packets come in and its refusal (ICMP) does too.
    socket.connect(port, address, () => socket.send(query))
  })
}

function askTcp(server: string, query: Buffer, question: Question, signal: AbortSignal): Promise<Buffer> {
  const { address, port } = parseServer(server)
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const socket = connect({ host: address, port })
    let received = Buffer.alloc(0)
    const end = (): void => {
      signal.removeEventListener('abort', abort)
      socket.destroy()
    }
    const fail = (error: unknown): void => {
      end()
      reject(error)
    }
    const abort = (): void => fail(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    socket.on('error', fail)
    socket.on('close', () => fail(new Error('closed without an answer')))
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return
      const message = received.subarray(2, 2 + received.readUInt16BE(0))
      if (!answersQuery(message, query, question)) return fail(new Error('the answer is to another question'))
      end()
      resolve(message)
    })
    const length = Buffer.alloc(2)
    length.writeUInt16BE(query.length)
    socket.write(Buffer.concat([length, query]))
  })
}

function parseServer(server: string): { readonly address: string; readonly port: number } {
  const [address = '', port] = server.split('#')
  return { address, port: port === undefined ? 53 : Number(port) }
}
