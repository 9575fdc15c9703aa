import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createLab, type Lab, type LabContainer } from './lab.ts'
import type { LabProcess } from './lab-process.ts'

const PATIENT_MS = 10_000
const REFUSED_MS = 700
const REMOTE = '198.51.100.9'

let lab: Lab
let remote: LabProcess
let a1: LabContainer
let a2: LabContainer
let b1: LabContainer
let inside1: LabContainer
let inside2: LabContainer

beforeAll(async () => {
  lab = await createLab()
  remote = await lab.remote(`${REMOTE}/24`, '198.51.100.1/24')
  await remote.call('listen', 'tcp', '0.0.0.0', 80, 'remote')
  const networks = lab.networks()
  await networks.create({ name: 'a', enableIpv6: true })
  await networks.create({ name: 'b', enableIpv6: true })
  await networks.create({ name: 'inside', internal: true })
  a1 = await lab.container({ on: ['a'], ports: [{ hostPort: 8080 }] })
  a2 = await lab.container({ on: ['a'] })
  b1 = await lab.container({ on: ['b'] })
  inside1 = await lab.container({ on: ['inside'], ports: [{ hostPort: 8081 }] })
  inside2 = await lab.container({ on: ['inside'] })
  for (const [name, one] of Object.entries({ a1, a2, b1, inside1, inside2 })) {
    await one.process.call('listen', 'tcp', '::', 80, name)
  }
}, 60_000)
afterAll(() => lab?.[Symbol.asyncDispose]())

const ask = (from: LabProcess, host: string, port = 80, timeoutMs = PATIENT_MS) =>
  from.call<string>('ask', 'tcp', host, port, timeoutMs)
const endpointOf = (container: LabContainer) => container.endpoints[0] as LabContainer['endpoints'][number]
const ipv4 = (container: LabContainer) => endpointOf(container).ipv4
const ipv6 = (container: LabContainer) => endpointOf(container).ipv6

describe('networks', () => {
  test('let their containers reach each other and the host, over IPv4 and IPv6', async () => {
    expect(await ask(a2.process, ipv4(a1))).toContain('a1 ')
    expect(await ask(a2.process, ipv6(a1))).toContain('a1 ')
    expect(await ask(lab.host, ipv4(a1))).toContain('a1 ')
    expect(await ask(lab.host, ipv6(a1))).toContain('a1 ')
  })
  test('keep containers of other networks out, over IPv4 and IPv6', async () => {
    expect(await ask(b1.process, ipv4(a1), 80, REFUSED_MS)).toBe('timeout')
    expect(await ask(b1.process, ipv6(a1), 80, REFUSED_MS)).toBe('timeout')
  })
  test('let containers reach other machines, which see the address of the host', async () => {
    expect(await ask(a1.process, REMOTE)).toBe('remote 198.51.100.1')
  })
  test('keep other machines away from what is not published, even with a route to it', async () => {
    await remote.call('ip', [`route add ${endpointOf(a1).ipv4} via 198.51.100.1`])
    expect(await ask(remote, ipv4(a1), 80, REFUSED_MS)).toBe('timeout')
  })
})

describe('an internal network', () => {
  test('has no way out', async () => {
    await inside1.process.call('ip', [`route add default via ${endpointOf(inside1).ipv4Gateway}`])
    expect(await ask(inside1.process, REMOTE, 80, REFUSED_MS)).toBe('timeout')
    expect(await ask(inside1.process, ipv4(a1), 80, REFUSED_MS)).toBe('timeout')
    expect(await ask(inside1.process, '198.51.100.1', 8080, REFUSED_MS)).toBe('timeout')
  })
  test('gives its containers no default route', () => {
    expect(inside1.interfaces[0]?.gateways).toEqual([])
  })
  test('lets its containers reach each other, and the host them', async () => {
    expect(await ask(inside2.process, ipv4(inside1))).toContain('inside1 ')
    expect(await ask(lab.host, ipv4(inside1))).toContain('inside1 ')
  })
  test('publishes nothing', async () => {
    expect(inside1.ports).toEqual([])
    expect(await ask(lab.host, '127.0.0.1', 8081, REFUSED_MS)).toBe('ECONNREFUSED')
  })
})

describe('driver options', () => {
  const bridge = 'com.docker.network.bridge'

  test('without icc containers reach each other through published ports only', async () => {
    await lab.networks().create({ name: 'apart', driverOpts: { [`${bridge}.enable_icc`]: 'false' } })
    const one = await lab.container({ on: ['apart'], ports: [{ hostPort: 8085 }] })
    const other = await lab.container({ on: ['apart'] })
    await one.process.call('listen', 'tcp', '0.0.0.0', 80, 'one')
    expect(await ask(other.process, ipv4(one), 80, REFUSED_MS)).toBe('timeout')
    expect(await ask(other.process, endpointOf(one).ipv4Gateway, 8085)).toContain('one ')
  })

  test('without masquerading the address of the container goes out', async () => {
    const subnet = '192.0.2.0/25'
    await lab.networks().create({
      name: 'routed',
      driverOpts: { [`${bridge}.enable_ip_masquerade`]: 'false' },
      ipam: { pools: [{ subnet }] },
    })
    const one = await lab.container({ on: ['routed'] })
    await remote.call('ip', [`route add ${subnet} via 198.51.100.1`])
    expect(await ask(one.process, REMOTE)).toBe(`remote ${ipv4(one)}`)
  })

  test('an unprotected network is reached at ports that are not published', async () => {
    await lab.networks().create({
      name: 'open',
      driverOpts: { [`${bridge}.gateway_mode_ipv4`]: 'nat-unprotected' },
      ipam: { pools: [{ subnet: '192.0.2.128/25' }] },
    })
    const one = await lab.container({ on: ['open'] })
    await one.process.call('listen', 'tcp', '0.0.0.0', 80, 'open')
    await remote.call('ip', ['route add 192.0.2.128/25 via 198.51.100.1'])
    expect(await ask(remote, ipv4(one))).toBe(`open ${REMOTE}`)
  })

  test('name, mtu, interface names and the address of published ports are as asked', async () => {
    await lab.networks().create({
      name: 'named',
      driverOpts: {
        [`${bridge}.name`]: 'tcnamed0',
        'com.docker.network.driver.mtu': '1400',
        'com.docker.network.container_iface_prefix': 'net',
        [`${bridge}.host_binding_ipv4`]: '127.0.0.1',
      },
    })
    const one = await lab.container({ on: ['named'], ports: [{ hostPort: 8086 }] })
    await one.process.call('listen', 'tcp', '0.0.0.0', 80, 'named')
    expect(await lab.host.call('run', 'ip', ['link', 'show', 'tcnamed0'])).toContain('mtu 1400')
    expect(await one.process.call('run', 'ip', ['link', 'show', 'net0'])).toContain('mtu 1400')
    expect(await ask(lab.host, '127.0.0.1', 8086)).toContain('named ')
    expect(await ask(lab.host, '198.51.100.1', 8086, REFUSED_MS)).toBe('ECONNREFUSED')
  })

  test('a source address for what goes out is used', async () => {
    await lab.host.call('ip', ['addr add 198.51.100.77/32 dev out1'])
    await lab.networks().create({ name: 'from', driverOpts: { 'com.docker.network.host_ipv4': '198.51.100.77' } })
    const one = await lab.container({ on: ['from'] })
    expect(await ask(one.process, REMOTE)).toBe('remote 198.51.100.77')
  })
})

test('the default route is that of the highest gw_priority, else of the first network by name that leads out', async () => {
  const plain = await lab.container({ on: ['inside', 'b', 'a'] })
  expect(plain.interfaces.map((one) => one.gateways[0])).toEqual([
    undefined,
    undefined,
    plain.endpoints[2]?.ipv4Gateway,
  ])
  const chosen = await lab.container({ on: ['a', { network: 'b', gwPriority: 1 }] })
  expect(chosen.interfaces.map((one) => one.gateways[0])).toEqual([undefined, chosen.endpoints[1]?.ipv4Gateway])
  expect(chosen.interfaces.map((one) => one.name)).toEqual(['eth0', 'eth1'])
})

test('a macvlan network puts containers on the wire of an interface, beside each other', async () => {
  await lab.networks().create({
    name: 'wire',
    driver: 'macvlan',
    driverOpts: { parent: 'out1' },
    ipam: { pools: [{ subnet: '198.51.100.0/24', ipRange: '198.51.100.128/28', gateway: '198.51.100.1' }] },
  })
  const one = await lab.container({ on: ['wire'] })
  const other = await lab.container({ on: ['wire'] })
  await one.process.call('listen', 'tcp', '0.0.0.0', 80, 'one')
  expect(await ask(other.process, ipv4(one))).toBe(`one ${ipv4(other)}`)
  expect(await ask(one.process, REMOTE)).toBe(`remote ${ipv4(one)}`)
})

test('a driver that the kernel lacks is unsupported by name, one that it has works', async () => {
  const networks = lab.networks()
  const driverOpts = { parent: 'out1' }
  const ipam = { pools: [{ subnet: '203.0.113.0/24' }] }
  const failure = await networks.create({ name: 'ipvlan', driver: 'ipvlan', driverOpts, ipam }).catch((error) => error)
  if (failure instanceof Error) {
    expect(failure).toMatchObject({ code: 'UNSUPPORTED', message: 'network driver "ipvlan" of network ipvlan' })
    expect(await networks.find('ipvlan')).toBeUndefined()
  } else {
    const one = await lab.container({ on: ['ipvlan'] })
    const other = await lab.container({ on: ['ipvlan'] })
    await one.process.call('listen', 'tcp', '0.0.0.0', 80, 'one')
    expect(await ask(other.process, ipv4(one))).toBe(`one ${ipv4(other)}`)
  }
})
