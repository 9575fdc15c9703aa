import { expect, test } from 'vitest'
import {
  deleteStatements,
  type FilteredNetwork,
  networkElements,
  type Publication,
  publicationElements,
  tableScript,
} from '../../../src/engine/networks/firewall-rules.ts'

const network: FilteredNetwork = {
  bridge: 'br-1',
  internal: false,
  ipv4Subnet: '10.0.0.0/24',
  ipv6Subnet: 'fd00::/64',
  options: { icc: true, masquerade: true, open: false, hostIpv4: undefined },
}
const sets = (change: Partial<FilteredNetwork>): readonly string[] =>
  networkElements({ ...network, ...change }).map((element) => element.set)

test('a network is in the sets that its properties ask for', () => {
  expect(sets({})).toEqual(['bridges', 'same', 'nat4', 'nat6'])
  expect(sets({ internal: true })).toEqual(['bridges', 'same', 'internal'])
  expect(sets({ options: { ...network.options, icc: false, masquerade: false, open: true } })).toEqual([
    'bridges',
    'open',
  ])
  expect(sets({ ipv6Subnet: '', options: { ...network.options, hostIpv4: '192.0.2.1' } })).toEqual([
    'bridges',
    'same',
    'snat4',
    'nat4',
  ])
})

test('a port is in the maps of the addresses it is published on', () => {
  const port: Publication = {
    protocol: 'tcp',
    hostIp: '',
    hostPort: 80,
    containerPort: 8000,
    ipv4: '10.0.0.2',
    ipv6: 'fd00::2',
  }
  const keys = (change: Partial<Publication>) =>
    publicationElements({ ...port, ...change }).map(({ set, key, value }) => `${set} ${key} : ${value}`)
  const v4 = 'pub4 tcp . 80 : 10.0.0.2 . 8000'
  const v6 = 'pub6 tcp . 80 : fd00::2 . 8000'
  expect(keys({})).toEqual([v4, v6])
  expect(keys({ ipv6: '' })).toEqual([v4])
  expect(keys({ hostIp: '0.0.0.0' })).toEqual([v4])
  expect(keys({ hostIp: '::' })).toEqual([v6])
  expect(keys({ hostIp: '127.0.0.1' })).toEqual(['pub4a 127.0.0.1 . tcp . 80 : 10.0.0.2 . 8000'])
  expect(keys({ hostIp: '::1', protocol: 'udp' })).toEqual(['pub6a ::1 . udp . 80 : fd00::2 . 8000'])
  expect(keys({ hostIp: '::1', ipv6: '' })).toEqual([])
})

test('no rule that drops looks at traffic of others', () => {
  const lines = tableScript('t', [])
    .split('\n')
    .map((line) => line.trim())
  expect(lines.filter((line) => line.includes('policy')).every((line) => line.endsWith('policy accept;'))).toBe(true)
  const drops = lines.filter((line) => line.endsWith('drop'))
  expect(drops.every((line) => /[io]ifname @(bridges|internal)/.test(line))).toBe(true)
})

test('a deletion adds first, so that it fails only where the value is somebody else’s', () => {
  expect(deleteStatements('t', [{ set: 'pub4', key: 'tcp . 80', value: '10.0.0.2 . 80' }])).toEqual([
    'add element inet t pub4 { tcp . 80 : 10.0.0.2 . 80 }',
    'delete element inet t pub4 { tcp . 80 }',
  ])
})
