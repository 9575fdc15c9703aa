import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectShim, launchShim } from '../../../src/runtime/shim-client.ts'
import { eventually } from '../../support/eventually.ts'
import { execute, outcome, Place } from './container.ts'

let place: Place
beforeAll(() => {
  place = new Place()
})
afterAll(() => place[Symbol.asyncDispose]())

const hasV6 = Object.values(networkInterfaces())
  .flat()
  .some((address) => address?.address === '::1')

/** A port nobody has just now, of all addresses. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

/** A server in a container's network namespace, written in Node: those of busybox lose connections when they are many. */
function serve(shimPid: number, script: string): ChildProcess {
  return spawn('nsenter', [`--net=/proc/${shimPid}/ns/net`, process.execPath, '-e', script], { stdio: 'ignore' })
}

/** Sends `text`, half-closes, and gives all that comes back. */
function talk(host: string, port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true }, () => socket.end(text))
    let answer = ''
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString()
    })
    socket.on('end', () => resolve(answer))
    socket.on('error', reject)
    socket.setTimeout(20_000, () => socket.destroy(new Error('no answer')))
  })
}

test('interfaces get their names, addresses, routes and mtu, in both families', async () => {
  const suffix = randomBytes(4).toString('hex')
  const [host, inside] = [`th${suffix}`, `tc${suffix}`]
  const container = await place.run({
    args: ['sh', '-c', 'ip addr show eth0; ip route; ip -6 route; cat /proc/sys/net/ipv4/ip_unprivileged_port_start'],
    interfaces: [
      {
        temporaryName: inside,
        name: 'eth0',
        macAddress: '02:42:0a:01:02:03',
        addresses: ['10.201.7.9/24', 'fd00:7::9/64'],
        gateways: ['10.201.7.1', 'fd00:7::1'],
        mtu: 1400,
      },
    ],
    between: async (_bundle, shimPid) => {
      execFileSync('ip', ['link', 'add', host, 'type', 'veth', 'peer', 'name', inside, 'netns', String(shimPid)])
    },
  })
  const { stdout } = await outcome(container.process)
  expect(stdout).toMatch(/eth0.*mtu 1400/)
  expect(stdout).toContain('link/ether 02:42:0a:01:02:03')
  expect(stdout).toContain('inet 10.201.7.9/24 brd 10.201.7.255')
  expect(stdout).toMatch(/inet6 fd00:7::9\/64 scope global (flags 02|nodad)?/)
  expect(stdout).not.toContain('tentative')
  expect(stdout).toContain('default via 10.201.7.1 dev eth0')
  expect(stdout).toContain('default via fd00:7::1 dev eth0')
  expect(stdout).toMatch(/^0$/m)
})

test('an interface that arrives later is configured in the running container', async () => {
  const suffix = randomBytes(4).toString('hex')
  const container = await place.run({ args: ['sleep', '100000'] })
  execFileSync('ip', [
    'link',
    'add',
    `th${suffix}`,
    'type',
    'veth',
    'peer',
    'name',
    `tc${suffix}`,
    'netns',
    String(container.shimPid),
  ])
  const wanted = {
    temporaryName: `tc${suffix}`,
    name: 'eth1',
    macAddress: '',
    addresses: ['10.201.8.9/24'],
    gateways: [],
    mtu: 0,
  }
  await container.connection.configureInterfaces([wanted])
  expect((await execute(container, { args: ['ip', 'addr', 'show', 'eth1'] })).stdout).toContain('inet 10.201.8.9/24')
  await expect(container.connection.configureInterfaces([wanted])).rejects.toMatchObject({
    message: `interface tc${suffix} has not arrived`,
  })
  container.connection.signal(9)
  await container.process.exit
})

test('a port is taken as long as the container lives, and a conflict names it', async () => {
  const port = await freePort()
  const ports = [{ protocol: 'tcp', hostIp: '', hostPort: port, containerPort: 80 }]
  const first = await place.run({ args: ['sleep', '100000'], request: { ports } })
  const second = place.prepare({ args: ['true'], request: { ports } })
  await expect(launchShim(second)).rejects.toMatchObject({
    code: 'CONFLICT',
    message: `Bind for 0.0.0.0:${port} failed: address already in use`,
  })
  first.connection.signal(9)
  await first.process.exit
  const third = await launchShim(second)
  await third.abort()
})

test('what reaches a published TCP port is passed on, both ways, to the end of each', async () => {
  const port = await freePort()
  const container = await place.run({
    args: ['sleep', '100000'],
    request: { ports: [{ protocol: 'tcp', hostIp: '', hostPort: port, containerPort: 80 }] },
  })
  const server = serve(
    container.shimPid,
    `require('net').createServer({ allowHalfOpen: true }, (s) => {
       s.on('data', (d) => s.write(d) || (s.pause(), s.once('drain', () => s.resume()))); s.on('end', () => s.end('end\\n'))
     }).listen(80)`,
  )
  try {
    await eventually(async () => expect(await talk('127.0.0.1', port, 'hello ')).toBe('hello end\n'))
    if (hasV6) expect(await talk('::1', port, 'over six ')).toBe('over six end\n')
    const long = 'x'.repeat(3_000_000)
    expect((await talk('127.0.0.1', port, long)).length).toBe(long.length + 4)
    const many = await Promise.all(Array.from({ length: 20 }, (_, index) => talk('127.0.0.1', port, `${index} `)))
    expect(many).toEqual(Array.from({ length: 20 }, (_, index) => `${index} end\n`))
  } finally {
    server.kill('SIGKILL')
  }
  container.connection.signal(9)
  await container.process.exit
  await expect(talk('127.0.0.1', port, '')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

test('what reaches a published UDP port is answered', async () => {
  const port = await freePort()
  const container = await place.run({
    args: ['sleep', '100000'],
    request: { ports: [{ protocol: 'udp', hostIp: '127.0.0.1', hostPort: port, containerPort: 53 }] },
  })
  const server = serve(
    container.shimPid,
    `const s = require('dgram').createSocket('udp4'); s.on('message', (m, from) => s.send(m, from.port, from.address)); s.bind(53)`,
  )
  const socket = createSocket('udp4')
  try {
    const answer = new Promise<string>((resolve) => socket.once('message', (message) => resolve(message.toString())))
    let answered = false
    void answer.then(() => {
      answered = true
    })
    await eventually(() => {
      socket.send('ping', port, '127.0.0.1')
      return answered
    })
    expect(await answer).toBe('ping')
  } finally {
    socket.close()
    server.kill('SIGKILL')
  }
  container.connection.signal(9)
  await container.process.exit
})

/** An answer to an A query: the question and one address. */
function answerOf(query: Buffer, address: readonly number[]): Buffer {
  const header = Buffer.from(query.subarray(0, 12))
  header.writeUInt16BE(0x8180, 2)
  header.writeUInt16BE(1, 6)
  header.writeUInt16BE(0, 8)
  header.writeUInt16BE(0, 10)
  let end = 12
  while ((query[end] ?? 0) !== 0) end += (query[end] ?? 0) + 1
  const question = query.subarray(12, end + 5)
  const type = question.readUInt16BE(question.length - 4)
  if (type !== 1) {
    header.writeUInt16BE(0, 6)
    return Buffer.concat([header, question])
  }
  return Buffer.concat([header, question, Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, ...address])])
}

test('names are asked at 127.0.0.11, over UDP and TCP, also before anyone answers; port 53 stays free', async () => {
  const container = await place.run({
    args: ['sh', '-c', 'nc -ll -p 53 -e true & sleep 100000'],
    request: { dns: true },
  })
  const lookup = ['nslookup', '-type=a', 'web.test', '127.0.0.11']
  const early = execute(container, { args: lookup })
  await using connection = await connectShim(container.bundle)
  const seen: boolean[] = []
  connection.serveNames((query, overTcp) => {
    seen.push(overTcp)
    return Promise.resolve(answerOf(query, [10, 1, 2, 3]))
  })
  expect((await early).stdout).toContain('10.1.2.3')
  expect((await execute(container, { args: lookup })).stdout).toContain('10.1.2.3')
  expect(seen).toContain(false)
  // A query by hand: id 7, recursion desired, A of `web.test`.
  const query =
    '\\x00\\x1a\\x00\\x07\\x01\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x03web\\x04test\\x00\\x00\\x01\\x00\\x01'
  const byTcp = await execute(container, {
    args: ['sh', '-c', `{ printf '${query}'; sleep 1; } | nc 127.0.0.11 53 | od -An -tx1 | tr -d ' \\n'`],
  })
  expect(byTcp.stdout).toMatch(/^....0007.*0a010203$/)
  expect(seen).toContain(true)
  expect((await execute(container, { args: ['sh', '-c', 'netstat -ltn | grep -c "[0:]:53 "'] })).stdout).toBe('1\n')
  container.connection.signal(9)
  await container.process.exit
})

test('a query that cannot be answered fails at once', async () => {
  const container = await place.run({ args: ['sleep', '100000'], request: { dns: true } })
  await using connection = await connectShim(container.bundle)
  connection.serveNames(() => Promise.resolve(undefined))
  const result = await execute(container, { args: ['nslookup', '-type=a', 'web.test', '127.0.0.11'] })
  expect(result.stdout + result.stderr).toMatch(/SERVFAIL/)
  container.connection.signal(9)
  await container.process.exit
})

test("in the host's network the shim makes no namespace of its own", async () => {
  const container = await place.run({
    args: ['readlink', '/proc/self/ns/net'],
    input: { network: { kind: 'host' } },
    request: { netns: { kind: 'host' }, sysctls: {} },
  })
  const { stdout } = await outcome(container.process)
  expect(stdout).toBe(`${execFileSync('readlink', ['/proc/self/ns/net'])}`)
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(place.root)
})
