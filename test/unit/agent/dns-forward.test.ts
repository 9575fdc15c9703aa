import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import packet from 'dns-packet'
import { afterEach, expect, test } from 'vitest'
import { createForwarder } from '../../../src/agent/dns-forward.ts'
import { type Question, readQuestion } from '../../../src/agent/dns-message.ts'

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

type Rcode = 'NOERROR' | 'SERVFAIL' | 'NXDOMAIN' | 'REFUSED'

function reply(query: Buffer, address: string, rcode: Rcode): Buffer {
  const { id, questions } = packet.decode(query)
  const name = questions?.[0]?.name ?? ''
  const codes = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 }
  return packet.encode({
    type: 'response',
    id: id as number,
    flags: codes[rcode],
    questions: questions as packet.Question[],
    answers: rcode === 'NOERROR' ? [{ type: 'A', name, ttl: 5, data: address }] : [],
  })
}

/** A server on UDP; `undefined` says nothing. */
async function udpServer(answer: (query: Buffer) => readonly Buffer[]): Promise<string> {
  const socket = createSocket('udp4')
  closers.push(() => socket.close())
  socket.on('message', (query, from) => {
    for (const message of answer(query)) socket.send(message, from.port, from.address)
  })
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  return `127.0.0.1#${socket.address().port}`
}

const query = packet.encode({ type: 'query', id: 77, questions: [{ type: 'A', name: 'example.com' }] })
const question = readQuestion(query) as Question

async function forward(servers: readonly string[], overTcp = false): Promise<string | undefined> {
  const answer = await createForwarder().forward(query, question, overTcp, servers)
  if (!answer) return undefined
  const decoded = packet.decode(answer) as packet.DecodedPacket & { readonly rcode: string }
  expect(decoded.id).toBe(77)
  const [record] = decoded.answers ?? []
  return record ? String((record as { data: unknown }).data) : decoded.rcode
}

test('the first server that can answers; failing ones are passed over', async () => {
  const good = await udpServer((asked) => [reply(asked, '1.1.1.1', 'NOERROR')])
  const broken = await udpServer((asked) => [reply(asked, '', 'SERVFAIL')])
  const refusing = await udpServer((asked) => [reply(asked, '', 'REFUSED')])
  expect(await forward([good])).toBe('1.1.1.1')
  expect(await forward([broken, refusing, good])).toBe('1.1.1.1')
  expect(await forward([broken])).toBe('SERVFAIL')
})

test('a server that says nothing, or is not there, does not stop the next', async () => {
  const silent = await udpServer(() => [])
  const good = await udpServer((asked) => [reply(asked, '1.1.1.1', 'NOERROR')])
  expect(await forward([silent, good])).toBe('1.1.1.1')
  expect(await forward(['127.0.0.1#9', good])).toBe('1.1.1.1')
  expect(await forward([])).toBeUndefined()
})

test('that a name does not exist is an answer', async () => {
  const knows = await udpServer((asked) => [reply(asked, '', 'NXDOMAIN')])
  const other = await udpServer((asked) => [reply(asked, '2.2.2.2', 'NOERROR')])
  expect(await forward([knows, other])).toBe('NXDOMAIN')
})

test('answers to other questions or under another number are not believed', async () => {
  const forging = await udpServer((asked) => {
    const wrongNumber = reply(asked, '6.6.6.6', 'NOERROR')
    wrongNumber.writeUInt16BE(wrongNumber.readUInt16BE(0) ^ 1, 0)
    const elsewhere = packet.encode({
      type: 'query',
      id: asked.readUInt16BE(0),
      questions: [{ type: 'A', name: 'evil.com' }],
    })
    return [wrongNumber, reply(elsewhere, '6.6.6.6', 'NOERROR'), Buffer.from('x'), reply(asked, '1.1.1.1', 'NOERROR')]
  })
  expect(await forward([forging])).toBe('1.1.1.1')
})

test('questions over TCP are asked over TCP', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', (chunk) => {
      const answer = reply(chunk.subarray(2), '3.3.3.3', 'NOERROR')
      const length = Buffer.alloc(2)
      length.writeUInt16BE(answer.length)
      socket.write(length)
      socket.write(answer.subarray(0, 20))
      setImmediate(() => socket.write(answer.subarray(20)))
    })
  })
  closers.push(() => server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  expect(await forward([`127.0.0.1#${typeof address === 'object' ? address?.port : ''}`], true)).toBe('3.3.3.3')
})
