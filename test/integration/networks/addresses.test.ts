import { afterAll, beforeAll, expect, test } from 'vitest'
import { randomId } from '../../../src/base/id.ts'
import type { EndpointSpec } from '../../../src/engine/containers/spec.ts'
import { overlaps, type Prefix, parsePrefix } from '../../../src/engine/networks/address.ts'
import { createLab, type Lab } from './lab.ts'

let lab: Lab
beforeAll(async () => {
  lab = await createLab()
}, 60_000)
afterAll(() => lab?.[Symbol.asyncDispose]())

const prefix = (text: string): Prefix => parsePrefix(text) as Prefix
const give = (network: string, spec: Partial<EndpointSpec> = {}) =>
  lab.networks().allocate(randomId(), { network, ...spec }, [])

test('a subnet is chosen that overlaps no route of the host and no other network', async () => {
  await lab.host.call('ip', [
    'link add vpn0 type bridge',
    'link set vpn0 up',
    'addr add 192.0.2.1/24 dev vpn0',
    'route add 172.16.0.0/12 dev vpn0',
    'route add 10.200.0.0/14 dev vpn0',
  ])
  const made = await Promise.all(Array.from({ length: 5 }, (_, index) => lab.networks().create({ name: `n${index}` })))
  for (const network of made) {
    expect(overlaps(prefix('172.16.0.0/12'), prefix(network.ipv4Subnet))).toBe(false)
    expect(overlaps(prefix('10.200.0.0/14'), prefix(network.ipv4Subnet))).toBe(false)
  }
  expect(new Set(made.map((network) => network.ipv4Subnet)).size).toBe(5)
})

test('a network that is made again gets the subnet it had', async () => {
  const first = await lab.networks().create({ name: 'project_default' })
  await lab.networks().remove(first.id)
  const second = await lab.networks().create({ name: 'project_default' })
  expect(second.ipv4Subnet).toBe(first.ipv4Subnet)
  expect(second.bridge).not.toBe(first.bridge)
})

test('addresses come from the range, without gateway, auxiliary addresses and those in use', async () => {
  await lab.networks().create({
    name: 'planned',
    enableIpv6: true,
    ipam: {
      pools: [
        {
          subnet: '192.168.240.0/24',
          ipRange: '192.168.240.32/29',
          gateway: '192.168.240.33',
          auxAddresses: { printer: '192.168.240.34' },
        },
        { subnet: 'fd00:5::/64' },
      ],
    },
  })
  const fixed = await give('planned', { ipv4Address: '192.168.240.35', ipv6Address: 'fd00:5:0:0::0003' })
  expect(fixed).toMatchObject({
    ipv4: '192.168.240.35',
    ipv4Gateway: '192.168.240.33',
    ipv4PrefixLength: 24,
    ipv6: 'fd00:5::3',
    macAddress: '02:42:c0:a8:f0:23',
  })
  const outside = await give('planned', { ipv4Address: '192.168.240.200' })
  expect(outside).toMatchObject({ ipv4: '192.168.240.200', ipv6: 'fd00:5::2' })
  const next = [await give('planned'), await give('planned'), await give('planned')]
  expect(next.map((endpoint) => endpoint.ipv4)).toEqual(['192.168.240.36', '192.168.240.37', '192.168.240.38'])
  expect(next.map((endpoint) => endpoint.ipv6)).toEqual(['fd00:5::4', 'fd00:5::5', 'fd00:5::6'])
  await expect(give('planned')).rejects.toThrow("no available IPv4 addresses on this network's address pools")
  await expect(give('planned', { ipv4Address: '192.168.240.35' })).rejects.toThrow('already in use')
  await expect(give('planned', { ipv4Address: '10.0.0.1' })).rejects.toThrow('no configured subnet contains')
})

test('what cannot be is refused by name', async () => {
  const networks = lab.networks()
  await networks.create({ name: 'plain' })
  await expect(networks.create({ name: 'plain' })).rejects.toThrow('network with name plain already exists')
  await expect(networks.create({ name: 'host' })).rejects.toMatchObject({ code: 'DENIED' })
  await expect(networks.remove('bridge')).rejects.toMatchObject({ code: 'DENIED' })
  await expect(networks.get('nothing')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await expect(give('plain', { ipv4Address: '1.2.3.4' })).rejects.toThrow('only when connecting to networks with user')
  await expect(give('plain', { macAddress: '01:00:00:00:00:00' })).rejects.toThrow('invalid MAC address')
  await expect(give('bridge', { aliases: ['a'] })).rejects.toThrow('only for containers in user defined networks')
  await expect(networks.create({ name: 'o', driver: 'overlay' as never })).rejects.toThrow('network driver "overlay"')
  await expect(networks.create({ name: 'o', driverOpts: { foo: '1' } })).rejects.toThrow('driver option "foo"')
  await expect(networks.create({ name: 'o', ipam: { driver: 'x', pools: [] } })).rejects.toThrow('IPAM driver "x"')
  await networks.create({ name: 'wide', ipam: { pools: [{ subnet: '192.168.200.0/22' }] } })
  await expect(networks.create({ name: 'narrow', ipam: { pools: [{ subnet: '192.168.201.0/24' }] } })).rejects.toThrow(
    'Pool overlaps with other one on this address space',
  )
})

test('networks are found by name, id and unique start of the id, and listed by label and part of the name', async () => {
  const networks = lab.networks()
  const made = await networks.create({ name: 'labelled', labels: { team: 'a', x: '' } })
  for (const ref of [made.id, made.name, made.id.slice(0, 12)]) expect((await networks.find(ref))?.id).toBe(made.id)
  const names = async (filter: Parameters<typeof networks.list>[0]) =>
    (await networks.list(filter)).map((network) => network.name)
  expect(await names({ labels: ['team=a', 'x'] })).toEqual(['labelled'])
  expect(await names({ labels: ['team=b'] })).toEqual([])
  expect(await names({ names: ['abell'] })).toEqual(['labelled'])
  expect(await names({ names: ['bridge'] })).toEqual(['bridge'])
})

test('a container reaches the host by the gateway of its network', async () => {
  const networks = lab.networks()
  const { ipv4Gateway } = await networks.create({ name: 'gateway' })
  const container = await lab.container({ on: ['gateway'] })
  expect(await networks.hostGateway(container.id)).toBe(ipv4Gateway)
  await lab.host.call('listen', 'tcp', '0.0.0.0', 7002, 'host')
  expect(await container.process.call('ask', 'tcp', ipv4Gateway, 7002, 10_000)).toContain('host ')
})
