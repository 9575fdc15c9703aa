import { afterEach, beforeEach, expect, test } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { createLab, type Lab, type LabContainer } from './lab.ts'

const PATIENT_MS = 10_000

let lab: Lab
beforeEach(async () => {
  lab = await createLab()
}, 60_000)
afterEach(() => lab?.[Symbol.asyncDispose]())

const root = () => `${lab.base}/a`
const ask = (host: string, port: number) => lab.host.call<string>('ask', 'tcp', host, port, PATIENT_MS)
const links = () => lab.host.call<string>('read', '/proc/net/dev')
const tables = () => lab.host.call<string>('run', 'nft', ['list', 'tables'])

async function web(network: string, hostPort: number): Promise<LabContainer> {
  const container = await lab.container({ on: [network], ports: [{ hostPort }] })
  await container.process.call('listen', 'tcp', '0.0.0.0', 80, `web${hostPort}`)
  return container
}

test('rules that somebody has flushed come back with the next start, those of running containers too', async () => {
  await lab.networks().create({ name: 'net' })
  await web('net', 8080)
  await lab.host.call('nft', ['flush ruleset'])
  await web('net', 8081)
  expect(await ask('127.0.0.1', 8080)).toContain('web8080')
  expect(await ask('127.0.0.1', 8081)).toContain('web8081')
})

test('reconcile brings rules and bridges back that have gone, as after a boot', async () => {
  const networks = lab.networks()
  const { bridge, ipv4Gateway } = await networks.create({ name: 'net' })
  const first = await web('net', 8080)
  await lab.stop(first)
  await lab.host.call('nft', ['flush ruleset'])
  await lab.host.call('ip', [`link del ${bridge}`])
  await networks.reconcile()
  expect(await lab.host.call('run', 'ip', ['addr', 'show', bridge])).toContain(ipv4Gateway)
  await web('net', 8081)
  expect(await ask('127.0.0.1', 8081)).toContain('web8081')
})

test('a bridge that was taken away is made again by the next start', async () => {
  const networks = lab.networks()
  const { bridge } = await networks.create({ name: 'net' })
  await lab.host.call('ip', [`link del ${bridge}`])
  await web('net', 8080)
  expect(await ask('127.0.0.1', 8080)).toContain('web8080')
})

test('reconcile deletes bridges of networks no record has, links of endpoints no record has, and stale rules', async () => {
  const networks = lab.networks()
  const kept = await networks.create({ name: 'kept' })
  const gone = await networks.create({ name: 'gone' })
  const instance = await lab.host.call<string>('instance', root())
  // As a process leaves it that was killed after its transaction.
  await lab.host.call('sql', root(), 'DELETE FROM networks WHERE id = ?', gone.id)
  await lab.host.call('ip', [
    `link add vtstray type veth peer name vtpeer`,
    `link set vtstray master ${kept.bridge}`,
    'link add notours type bridge',
  ])
  await lab.host.call('nft', [`add element inet ${instance} pub4 { tcp . 9999 : ${kept.ipv4Gateway} . 80 }`])
  await networks.reconcile()
  await eventually(async () => {
    const left = await links()
    expect(left).toContain(kept.bridge)
    expect(left).toContain('notours')
    expect(left).not.toContain(gone.bridge)
    expect(left).not.toContain('vtstray')
  })
  expect(await lab.host.call('run', 'nft', ['list', 'table', 'inet', instance])).not.toContain('9999')
})

test('a container that starts again before the kernel has cleared its old namespace gets its links', async () => {
  const networks = lab.networks()
  const { id } = await networks.create({ name: 'net' })
  const first = await web('net', 8080)
  // Its links are still there: nobody has detached it.
  const again = await networks.attach({
    containerId: first.id,
    pid: first.process.pid,
    endpoints: first.endpoints,
    ports: first.ports,
  })
  expect(again).toHaveLength(1)
  expect(await networks.containersOf(id)).toEqual([first.id])
})

test('detach and release are idempotent, and nothing is left when all networks have gone', async () => {
  const networks = lab.networks()
  const before = await links()
  const made = await Promise.all(['one', 'two', 'three'].map((name) => networks.create({ name, enableIpv6: true })))
  const container = await lab.container({ on: ['one', 'two', 'bridge'], ports: [{ hostPort: 8080 }] })
  await expect(networks.remove('one')).rejects.toThrow(/has active endpoints/)
  await lab.stop(container)
  await networks.detach(container.id)
  await networks.release(container.id)
  await networks.release(container.id)
  await Promise.all(made.map((network) => networks.remove(network.id)))
  await eventually(async () => expect(await names()).toEqual(namesIn(before)))
  expect(await tables()).toBe('')
  const events = await lab.host.call<{ action: string }[]>('events', root())
  expect(events.map((event) => event.action).sort()).toEqual([
    'create',
    'create',
    'create',
    'destroy',
    'destroy',
    'destroy',
  ])
})

test('many containers attach at once', async () => {
  const networks = lab.networks()
  await networks.create({ name: 'net' })
  const containers = await Promise.all(Array.from({ length: 6 }, (_, index) => web('net', 8100 + index)))
  expect(new Set(containers.map((one) => one.endpoints[0]?.ipv4)).size).toBe(6)
  for (const [index] of containers.entries())
    expect(await ask('127.0.0.1', 8100 + index)).toContain(`web${8100 + index}`)
  await Promise.all(containers.map((one) => networks.detach(one.id)))
  const instance = await lab.host.call<string>('instance', root())
  expect(await lab.host.call('run', 'nft', ['list', 'map', 'inet', instance, 'pub4'])).not.toContain('elements')
})

test('a running container joins and leaves a network', async () => {
  const networks = lab.networks()
  await networks.create({ name: 'first' })
  await networks.create({ name: 'second' })
  const container = await web('first', 8080)
  const endpoint = await networks.allocate(container.id, { network: 'second', aliases: ['Alias'] }, ['name'])
  expect(endpoint.dnsNames).toEqual(['name', 'Alias'])
  const [one] = await networks.attach({
    containerId: container.id,
    pid: container.process.pid,
    endpoints: [endpoint],
    ports: [],
  })
  expect(one).toMatchObject({ name: 'eth1', gateways: [] })
  expect(await container.process.call<string>('read', '/proc/net/dev')).toContain(one?.temporaryName)
  await networks.release(container.id, endpoint.networkId)
  await eventually(async () =>
    expect(await container.process.call<string>('read', '/proc/net/dev')).not.toContain(one?.temporaryName),
  )
  expect(await ask('127.0.0.1', 8080)).toContain('web8080')
})

async function names(): Promise<readonly string[]> {
  return namesIn(await links())
}

function namesIn(text: string): readonly string[] {
  return text
    .split('\n')
    .slice(2)
    .map((line) => line.split(':')[0]?.trim() ?? '')
}
