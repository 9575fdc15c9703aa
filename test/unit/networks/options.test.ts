import { expect, test } from 'vitest'
import { networkOptions } from '../../../src/engine/networks/options.ts'

const read = (driverOpts: Record<string, string>, more = {}) => networkOptions({ name: 'n', driverOpts, ...more })

test('without options a network is as Docker makes it', () => {
  expect(read({})).toEqual({
    bridgeName: undefined,
    mtu: 1500,
    icc: true,
    masquerade: true,
    hostIpv4: undefined,
    hostBinding: '',
    open: false,
    noGateway: false,
    interfacePrefix: 'eth',
    parent: '',
    mode: '',
  })
})

test('flags are read as Go reads them', () => {
  for (const value of ['false', '0', 'F', 'False']) {
    expect(read({ 'com.docker.network.bridge.enable_icc': value }).icc).toBe(false)
  }
  expect(read({ 'com.docker.network.bridge.enable_icc': '' }).icc).toBe(true)
  expect(() => read({ 'com.docker.network.bridge.enable_icc': 'no' })).toThrow('"no" is not valid')
})

test('a value that cannot be is refused with the name of the option', () => {
  for (const [name, value] of [
    ['com.docker.network.driver.mtu', 'big'],
    ['com.docker.network.driver.mtu', '12'],
    ['com.docker.network.bridge.name', 'far-too-long-for-a-link'],
    ['com.docker.network.bridge.name', 'a b; reboot'],
    ['com.docker.network.host_ipv4', '::1'],
    ['com.docker.network.bridge.gateway_mode_ipv4', 'other'],
    ['com.docker.network.container_iface_prefix', '0'],
  ] as const) {
    expect(() => read({ [name]: value }), `${name}=${value}`).toThrow(name)
  }
})

test('an option of another driver, or of none, is unsupported by name', () => {
  expect(() => read({ parent: 'eth0' })).toThrow('driver option "parent" of network n (driver bridge)')
  expect(() => read({ 'com.docker.network.bridge.name': 'x' }, { driver: 'macvlan' })).toThrow('driver macvlan')
  expect(read({ parent: 'eth0.5' }, { driver: 'macvlan' })).toMatchObject({ parent: 'eth0.5', mode: 'bridge' })
  expect(read({ ipvlan_mode: 'l3' }, { driver: 'ipvlan' }).mode).toBe('l3')
})

test('a gateway is left out of internal networks only', () => {
  const isolated = { 'com.docker.network.bridge.gateway_mode_ipv4': 'isolated' }
  expect(() => read(isolated)).toThrow('only be used for an internal network')
  expect(read(isolated, { internal: true }).noGateway).toBe(true)
})
