import { expect, test } from 'vitest'
import {
  CAPABILITIES,
  capabilitiesOfMask,
  chooseCapabilities,
  DEFAULT_CAPABILITIES,
} from '../../../src/runtime/capabilities.ts'

const available = CAPABILITIES

test('names are read with and without CAP_ and in any case', () => {
  expect(chooseCapabilities({ add: ['net_admin', 'CAP_sys_time'], drop: ['mknod'], available })).toEqual([
    ...DEFAULT_CAPABILITIES.filter((name) => name !== 'CAP_MKNOD'),
    'CAP_NET_ADMIN',
    'CAP_SYS_TIME',
  ])
})

test('drop ALL leaves only what is added', () => {
  expect(chooseCapabilities({ drop: ['ALL'], add: ['CHOWN'], available })).toEqual(['CAP_CHOWN'])
  expect(chooseCapabilities({ drop: ['all'], available })).toEqual([])
})

test('add ALL gives all but what is dropped, cut down to what is available', () => {
  const some = CAPABILITIES.filter((name) => name !== 'CAP_SYS_RESOURCE')
  expect(chooseCapabilities({ add: ['ALL'], drop: ['MKNOD'], available: some })).toEqual(
    some.filter((name) => name !== 'CAP_MKNOD'),
  )
})

test('an unknown name and one that cannot be given are told apart', () => {
  expect(() => chooseCapabilities({ add: ['FROB'], available })).toThrow('invalid CapAdd: unknown capability: "FROB"')
  expect(() => chooseCapabilities({ add: ['SYS_TIME'], available: DEFAULT_CAPABILITIES })).toThrow(
    'capability CAP_SYS_TIME cannot be given',
  )
})

test('a mask of /proc/PID/status is read', () => {
  expect(capabilitiesOfMask('00000000a80425fb')).toHaveLength(DEFAULT_CAPABILITIES.length)
  expect(new Set(capabilitiesOfMask('00000000a80425fb'))).toEqual(new Set(DEFAULT_CAPABILITIES))
})
