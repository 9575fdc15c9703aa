import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLab, type Lab, type LabContainer } from './lab.ts'
import type { LabProcess } from './lab-process.ts'

const PATIENT_MS = 10_000
const REFUSED_MS = 700

let lab: Lab
let remote: LabProcess
let other: string
let ours: LabContainer
let theirs: LabContainer

/** Two engines on one host. */
beforeAll(async () => {
  lab = await createLab()
  other = `${lab.base}/b`
  remote = await lab.remote('198.51.100.9/24', '198.51.100.1/24')
  await remote.call('listen', 'tcp', '0.0.0.0', 80, 'remote')
  await Promise.all([lab.networks().create({ name: 'net' }), lab.networks(other).create({ name: 'net' })])
  ours = await lab.container({ on: ['net'], ports: [{ hostPort: 8080 }] })
  theirs = await lab.container({ on: ['net'], ports: [{ hostPort: 8081 }], root: other })
  await ours.process.call('listen', 'tcp', '0.0.0.0', 80, 'ours')
  await theirs.process.call('listen', 'tcp', '0.0.0.0', 80, 'theirs')
}, 60_000)
afterAll(() => lab?.[Symbol.asyncDispose]())

const ask = (from: LabProcess, host: string, port = 80, timeoutMs = PATIENT_MS) =>
  from.call<string>('ask', 'tcp', host, port, timeoutMs)
const ipv4 = (container: LabContainer) => (container.endpoints[0] as LabContainer['endpoints'][number]).ipv4

test('two engines that choose at the same moment take different subnets', async () => {
  const names = Array.from({ length: 6 }, (_, index) => `same-${index}`)
  const made = await Promise.all(
    names.flatMap((name) => [lab.networks().create({ name }), lab.networks(other).create({ name })]),
  )
  expect(new Set(made.map((network) => network.ipv4Subnet)).size).toBe(12)
  await Promise.all(names.flatMap((name) => [lab.networks().remove(name), lab.networks(other).remove(name)]))
})

test('containers of two engines reach each other through published ports only', async () => {
  expect(await ask(ours.process, '198.51.100.1', 8081)).toContain('theirs ')
  expect(await ask(theirs.process, '198.51.100.1', 8080)).toContain('ours ')
  expect(await ask(ours.process, ipv4(theirs), 80, REFUSED_MS)).toBe('timeout')
  expect(await ask(theirs.process, ipv4(ours), 80, REFUSED_MS)).toBe('timeout')
})

test('what the host forwards for others is left alone', async () => {
  const second = await lab.remote('203.0.113.9/24', '203.0.113.1/24')
  expect(await ask(second, '198.51.100.9')).toBe('remote 203.0.113.9')
})

test('where dockerd drops what it does not know, containers still reach each other and the world', async () => {
  const networks = lab.networks()
  await lab.host.call('nft', [
    'add table ip filter',
    'add chain ip filter DOCKER-USER',
    'add chain ip filter FORWARD { type filter hook forward priority filter; policy drop; }',
    'add rule ip filter FORWARD jump DOCKER-USER',
  ])
  try {
    expect(await ask(ours.process, '198.51.100.9', 80, REFUSED_MS)).toBe('timeout')
    await networks.reconcile()
    expect(await ask(ours.process, '198.51.100.9')).toBe('remote 198.51.100.1')
    const network = await networks.create({ name: 'late' })
    const late = await lab.container({ on: ['late'], ports: [{ hostPort: 8085 }] })
    await late.process.call('listen', 'tcp', '0.0.0.0', 80, 'late')
    expect(await ask(remote, '198.51.100.1', 8085)).toBe('late 198.51.100.9')
    await lab.stop(late)
    await networks.release(late.id)
    await networks.remove('late')
    const rules = await lab.host.call<string>('run', 'nft', ['list', 'chain', 'ip', 'filter', 'DOCKER-USER'])
    expect(rules).not.toContain(network.bridge)
  } finally {
    await lab.host.call('nft', ['delete table ip filter'])
  }
})

test("removing an engine's last network takes its table away, and leaves the other's as it is", async () => {
  await lab.stop(theirs, other)
  const networks = lab.networks(other)
  await networks.release(theirs.id)
  await networks.remove('net')
  const tables = await lab.host.call<string>('run', 'nft', ['list', 'tables'])
  expect(tables).not.toContain(await lab.host.call<string>('instance', other))
  expect(await ask(remote, '198.51.100.1', 8080)).toBe('ours 198.51.100.9')
})
