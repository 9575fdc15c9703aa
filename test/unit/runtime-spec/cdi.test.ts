import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { cdiNamesOf, isCdiName, resolveCdi } from '../../../src/runtime/oci-spec-cdi.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(`${tmpdir()}/tcompose-cdi-`)
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

test('names of CDI are told from paths', () => {
  expect(isCdiName('vendor.com/class=dev0')).toBe(true)
  expect(isCdiName('/dev/null')).toBe(false)
})

test('requests for GPUs become names', () => {
  const gpu = [['gpu']]
  expect(cdiNamesOf([{ count: -1, capabilities: gpu }])).toEqual(['nvidia.com/gpu=all'])
  expect(cdiNamesOf([{ driver: 'nvidia', count: 2 }])).toEqual(['nvidia.com/gpu=0', 'nvidia.com/gpu=1'])
  expect(cdiNamesOf([{ deviceIds: ['GPU-1'], capabilities: gpu }])).toEqual(['nvidia.com/gpu=GPU-1'])
  expect(cdiNamesOf([{ driver: 'cdi', deviceIds: ['v.com/c=x'] }])).toEqual(['v.com/c=x'])
  expect(() => cdiNamesOf([{ driver: 'amd' }])).toThrow('could not select device driver "amd"')
})

test('a device brings its own edits and those of its file once', () => {
  writeFileSync(
    `${directory}/v.json`,
    JSON.stringify({
      cdiVersion: '0.6.0',
      kind: 'v.com/c',
      containerEdits: { env: ['ALL=1'], mounts: [{ hostPath: '/usr/lib/v.so', containerPath: '/lib/v.so' }] },
      devices: [
        {
          name: 'x',
          containerEdits: {
            env: ['X=1'],
            deviceNodes: [{ path: '/dev/v0', hostPath: '/dev/null', permissions: 'rw' }],
            hooks: [{ hookName: 'createContainer', path: '/bin/h', args: ['h', 'a'] }],
          },
        },
        { name: 'y', containerEdits: { env: ['Y=1'] } },
      ],
    }),
  )
  expect(resolveCdi(['v.com/c=x', 'v.com/c=y'], [directory])).toEqual({
    env: ['ALL=1', 'X=1', 'Y=1'],
    devices: {
      nodes: [{ path: '/dev/v0', type: 'c', major: 1, minor: 3 }],
      rules: [{ allow: true, type: 'c', major: 1, minor: 3, access: 'rw' }],
    },
    mounts: [
      { kind: 'bind', source: '/usr/lib/v.so', target: '/lib/v.so', options: ['ro', 'nosuid', 'nodev', 'bind'] },
    ],
    hooks: { createContainer: [{ path: '/bin/h', args: ['h', 'a'] }] },
    groups: [],
  })
})

test('a device nobody describes is refused by name', () => {
  expect(() => resolveCdi(['nvidia.com/gpu=all'], [directory])).toThrow('unresolvable CDI device nvidia.com/gpu=all')
})
