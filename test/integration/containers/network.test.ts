import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Engine } from '../../../src/engine/engine.ts'
import { eventually } from '../../support/eventually.ts'
import { createWorkspace, type Workspace } from '../../support/workspace.ts'
import { execIn, runContainer, specOf, startSleeper } from './run-container.ts'

let workspace: Workspace
let engine: Engine
beforeAll(async () => {
  workspace = await createWorkspace()
  engine = await workspace.engine()
}, 120_000)
afterAll(async () => {
  await workspace?.[Symbol.asyncDispose]()
}, 120_000)

const net = async (suffix: string) => (await engine.networks.create({ name: `${suffix}${workspace.id}` })).name
const on = (...networks: string[]) =>
  ({ kind: 'networks', endpoints: networks.map((network) => ({ network })) }) as const

function fetchText(host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host)
    let got = ''
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      got += chunk
    })
    socket.on('end', () => resolve(got))
    socket.on('error', reject)
  })
}

test('a container has the addresses of its endpoints, in the order of its networks', async () => {
  const [first, second] = [await net('a'), await net('b')]
  const { id, stdout } = await runContainer(
    engine,
    "ip -o -4 addr | awk '{print $2, $4}' | sort; tail -2 /etc/hosts | cut -f1",
    {
      network: on(first, second),
    },
  )
  const { endpoints } = await engine.containers.get(id)
  expect(endpoints.map((endpoint) => endpoint.networkName)).toEqual([first, second])
  const [a, b] = endpoints
  expect(stdout).toContain(`eth0 ${a?.ipv4}/${a?.ipv4PrefixLength}\n`)
  expect(stdout).toContain(`eth1 ${b?.ipv4}/${b?.ipv4PrefixLength}\n`)
  expect(stdout).toContain(`${a?.ipv4}\n${b?.ipv4}\n`)
  await engine.containers.remove(id)
})

test('containers of a network reach each other', async () => {
  const network = await net('c')
  const server = await engine.containers.create(
    specOf('while :; do echo served | nc -l -p 80; done', { network: on(network) }),
  )
  const { endpoints } = await engine.containers.start(server.id)
  const script = `for i in $(seq 200); do nc -w 1 ${endpoints[0]?.ipv4} 80 && exit; sleep 0.1; done`
  expect((await runContainer(engine, script, { network: on(network) })).stdout).toBe('served\n')
  await engine.containers.remove(server.id, { force: true })
})

test('a published port answers while the container runs and is free afterwards', async () => {
  const network = await net('d')
  const { id } = await engine.containers.create(
    specOf('while :; do echo served | nc -l -p 80; done', {
      network: on(network),
      ports: [{ containerPort: 80, protocol: 'tcp', hostIp: '127.0.0.1', hostPort: 0 }],
    }),
  )
  const { ports } = await engine.containers.start(id)
  const port = ports[0]?.hostPort ?? 0
  expect(port).toBeGreaterThan(0)
  await eventually(async () => expect(await fetchText('127.0.0.1', port)).toBe('served\n'))
  const rival = await engine.containers.create(
    specOf('true', {
      network: on(network),
      ports: [{ containerPort: 80, protocol: 'tcp', hostIp: '127.0.0.1', hostPort: port }],
    }),
  )
  await expect(engine.containers.start(rival.id)).rejects.toThrow('port is already allocated')
  await engine.containers.remove(id, { force: true })
  expect((await engine.containers.start(rival.id)).ports).toEqual([
    { containerPort: 80, protocol: 'tcp', hostIp: '127.0.0.1', hostPort: port },
  ])
  await engine.containers.remove(rival.id, { force: true })
})

test('networks are joined and left while the container runs', async () => {
  const [first, second] = [await net('e'), await net('f')]
  const { id } = await startSleeper(engine, { network: on(first) })
  await engine.containers.connect(id, { network: second })
  const joined = (await engine.containers.get(id)).endpoints.find((endpoint) => endpoint.networkName === second)
  expect((await execIn(engine, id, ['ip', '-o', '-4', 'addr', 'show', 'eth1'])).stdout).toContain(`${joined?.ipv4}/`)
  expect((await execIn(engine, id, ['cat', '/etc/hosts'])).stdout).toContain(`${joined?.ipv4}\t`)
  await expect(engine.containers.connect(id, { network: second })).rejects.toMatchObject({ code: 'CONFLICT' })
  await engine.containers.disconnect(id, first)
  await eventually(async () =>
    expect((await execIn(engine, id, ['ls', '/sys/class/net'])).stdout).not.toContain('eth0'),
  )
  expect((await engine.containers.get(id)).endpoints.map((endpoint) => endpoint.networkName)).toEqual([second])
  await engine.containers.remove(id, { force: true })
})

test('a changed set of networks is there after the next start', async () => {
  const [first, second] = [await net('g'), await net('h')]
  const { id } = await engine.containers.create(specOf('ls /sys/class/net | tr "\\n" " "', { network: on(first) }))
  await engine.containers.connect(id, { network: second })
  const streams = await engine.containers.attach(id)
  await engine.containers.start(id)
  const output: string[] = []
  for await (const chunk of streams.stdout) output.push(String(chunk))
  expect(output.join('').trim().split(' ').toSorted()).toEqual(['eth0', 'eth1', 'lo'])
  await engine.containers.remove(id)
})

test('a renamed container answers to its new name, and keeps its aliases', async () => {
  const network = await net('i')
  const { id, name } = await engine.containers.create(
    specOf('true', { network: { kind: 'networks', endpoints: [{ network, aliases: ['alias'] }] } }),
  )
  await engine.containers.rename(id, `${name}-new`)
  const [endpoint] = (await engine.containers.get(id)).endpoints
  expect(new Set(endpoint?.dnsNames)).toEqual(new Set([`${name}-new`, 'alias', id.slice(0, 12)]))
  await engine.containers.remove(id)
})
