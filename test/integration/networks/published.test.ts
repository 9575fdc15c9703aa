import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createLab, type Lab, type LabContainer } from './lab.ts'
import type { LabProcess } from './lab-process.ts'

const PATIENT_MS = 10_000
/** For what must not be answered. */
const REFUSED_MS = 700

let lab: Lab
let remote: LabProcess
let web: LabContainer
let neighbour: LabContainer
let stranger: LabContainer

beforeAll(async () => {
  lab = await createLab()
  remote = await lab.remote('198.51.100.9/24', '198.51.100.1/24')
  await remote.call('ip', ['addr add 2001:db8::9/64 dev eth0 nodad', 'route add default via 2001:db8::1'])
  await lab.host.call('ip', ['addr add 2001:db8::1/64 dev out1 nodad'])
  const networks = lab.networks()
  await networks.create({ name: 'front', enableIpv6: true })
  await networks.create({ name: 'back' })
  web = await lab.container({
    on: ['front'],
    ports: [
      { hostPort: 8080 },
      { hostPort: 8081, hostIp: '127.0.0.1' },
      { hostPort: 8082, hostIp: '198.51.100.1' },
      { hostPort: 8083, hostIp: '2001:db8::1' },
      { hostPort: 8053, protocol: 'udp', containerPort: 53 },
    ],
  })
  neighbour = await lab.container({ on: ['front'] })
  stranger = await lab.container({ on: ['back'] })
  await web.process.call('listen', 'tcp', '0.0.0.0', 80, 'web')
  await web.process.call('listen', 'udp', '0.0.0.0', 53, 'web')
  const { ipv6 } = web.endpoints[0] as LabContainer['endpoints'][number]
  await web.process.call('listen', 'tcp', ipv6, 80, 'web6')
}, 60_000)
afterAll(() => lab?.[Symbol.asyncDispose]())

const ask = (from: LabProcess, host: string, port: number, protocol = 'tcp', timeoutMs = PATIENT_MS) =>
  from.call<string>('ask', protocol, host, port, timeoutMs)
const gateway = () => (web.endpoints[0] as LabContainer['endpoints'][number]).ipv4Gateway

describe('a published port', () => {
  test('answers on 127.0.0.1 of the host', async () => {
    expect(await ask(lab.host, '127.0.0.1', 8080)).toMatch(/^web /)
  })
  test("answers on the host's own address", async () => {
    expect(await ask(lab.host, '198.51.100.1', 8080)).toMatch(/^web /)
  })
  test('answers to another machine, whose address the container sees', async () => {
    expect(await ask(remote, '198.51.100.1', 8080)).toBe('web 198.51.100.9')
  })
  test('answers to another machine over IPv6, whose address the container sees', async () => {
    expect(await ask(remote, '2001:db8::1', 8080)).toBe('web6 2001:db8::9')
  })
  test('answers over UDP on 127.0.0.1 and to another machine', async () => {
    expect(await ask(lab.host, '127.0.0.1', 8053, 'udp')).toMatch(/^web /)
    expect(await ask(remote, '198.51.100.1', 8053, 'udp')).toBe('web 198.51.100.9')
  })
  test('answers to the container itself, with bridged packets filtered or not', async () => {
    const setting = '/proc/sys/net/bridge/bridge-nf-call-iptables'
    const before = await lab.host.call<string>('read', setting)
    try {
      for (const value of ['1', '0']) {
        await lab.host.call('write', setting, value)
        expect(await ask(web.process, gateway(), 8080), `bridge-nf-call-iptables=${value}`).toMatch(/^web /)
        expect(await ask(web.process, '198.51.100.1', 8080), `bridge-nf-call-iptables=${value}`).toMatch(/^web /)
      }
    } finally {
      await lab.host.call('write', setting, before)
    }
  })
  test('answers to a container of the same network, through the address of the host', async () => {
    expect(await ask(neighbour.process, '198.51.100.1', 8080)).toMatch(/^web /)
  })
  test('answers to a container of another network, through the address of the host', async () => {
    expect(await ask(stranger.process, '198.51.100.1', 8080)).toMatch(/^web /)
  })
})

describe('a port published on one address', () => {
  test('answers there', async () => {
    expect(await ask(lab.host, '127.0.0.1', 8081)).toMatch(/^web /)
    expect(await ask(remote, '198.51.100.1', 8082)).toBe('web 198.51.100.9')
    expect(await ask(remote, '2001:db8::1', 8083)).toBe('web6 2001:db8::9')
  })
  test('does not answer on any other', async () => {
    expect(await ask(remote, '198.51.100.1', 8081, 'tcp', REFUSED_MS)).toBe('ECONNREFUSED')
    expect(await ask(lab.host, '127.0.0.1', 8082, 'tcp', REFUSED_MS)).toBe('ECONNREFUSED')
    expect(await ask(remote, '198.51.100.1', 8083, 'tcp', REFUSED_MS)).toBe('ECONNREFUSED')
  })
  test('on 127.0.0.1 does not answer to another machine that sends packets for 127.0.0.1', async () => {
    await sendLoopbackOut(remote, '198.51.100.1')
    expect(await ask(remote, '127.0.0.1', 8081, 'tcp', REFUSED_MS)).toBe('timeout')
  })
})

test("a container does not reach what listens on the host's 127.0.0.1", async () => {
  await lab.host.call('listen', 'tcp', '127.0.0.1', 7001, 'host')
  expect(await ask(lab.host, '127.0.0.1', 7001)).toMatch(/^host /)
  await sendLoopbackOut(neighbour.process, gateway())
  expect(await ask(neighbour.process, '127.0.0.1', 7001, 'tcp', REFUSED_MS)).toBe('timeout')
})

test('a stopped container publishes nothing, and another one may take its ports', async () => {
  const first = await lab.container({ on: ['back'], ports: [{ hostPort: 8090 }] })
  await first.process.call('listen', 'tcp', '0.0.0.0', 80, 'first')
  expect(await ask(lab.host, '127.0.0.1', 8090)).toMatch(/^first /)
  await expect(lab.container({ on: ['back'], ports: [{ hostPort: 8090 }] })).rejects.toThrow(
    'Bind for 0.0.0.0:8090 failed: port is already allocated',
  )
  await lab.stop(first)
  expect(await ask(lab.host, '127.0.0.1', 8090, 'tcp', REFUSED_MS)).toBe('ECONNREFUSED')
  const second = await lab.container({ on: ['back'], ports: [{ hostPort: 8090 }] })
  await second.process.call('listen', 'tcp', '0.0.0.0', 80, 'second')
  expect(await ask(lab.host, '127.0.0.1', 8090)).toMatch(/^second /)
})

test('free host ports and ports of a range differ from those others hold', async () => {
  await lab.host.call('listen', 'tcp', '0.0.0.0', 9000, 'host')
  const range = { hostPort: 9000, hostPortEnd: 9002 }
  const one = await lab.container({ on: ['back'], ports: [range, { containerPort: 81, ...range }, { hostPort: 0 }] })
  expect(one.ports.slice(0, 2).map((port) => port.hostPort)).toEqual([9001, 9002])
  expect(one.ports[2]?.hostPort).toBeGreaterThan(1023)
  await expect(lab.container({ on: ['back'], ports: [range] })).rejects.toThrow('all ports are allocated')
})

test('ports move to another network of the container when it leaves the one that had them', async () => {
  const networks = lab.networks()
  const both = await lab.container({ on: ['front', 'back'], ports: [{ hostPort: 8095 }] })
  await both.process.call('listen', 'tcp', '0.0.0.0', 80, 'both')
  expect(await ask(lab.host, '127.0.0.1', 8095)).toMatch(/^both /)
  const back = both.endpoints.find((endpoint) => endpoint.networkName === 'back')
  await networks.release(both.id, back?.networkId)
  expect(await ask(lab.host, '127.0.0.1', 8095)).toMatch(/^both /)
  expect(await both.process.call<string>('read', '/proc/net/dev')).not.toContain('eth1')
})

/** Makes a namespace send packets for 127.0.0.1 to a neighbour, as an attacker would. */
async function sendLoopbackOut(process: LabProcess, gateway: string): Promise<void> {
  await process.call('write', '/proc/sys/net/ipv4/conf/all/route_localnet', '1')
  await process.call('ip', [
    'route del local 127.0.0.1 dev lo table local',
    'route del local 127.0.0.0/8 dev lo table local',
    `route add 127.0.0.1 via ${gateway}`,
  ])
}
