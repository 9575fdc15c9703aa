import { expect, test } from 'vitest'
import { checkControls, expandCpus } from '../../../src/engine/containers/kernel-controls.ts'

test('what asks for nothing needs no control', () => {
  expect(() =>
    checkControls({ memoryBytes: 0, memorySwapBytes: -1, blkioWeightDevice: [], cpusetCpus: '' }, 1),
  ).not.toThrow()
})

test('a limit that this kernel cannot keep is refused by its name', () => {
  // Real-time scheduling has no control at all in cgroup v2.
  expect(() => checkControls({ cpuRealtimeRuntime: 1000 }, 2)).toThrow('cpu_rt_runtime cannot be set')
})

test('lists of processors are read', () => {
  expect(expandCpus('0-2,5')).toEqual([0, 1, 2, 5])
  expect(() => expandCpus('x')).toThrow('invalid cpuset "x"')
})
