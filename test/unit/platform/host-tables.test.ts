import { expect, test } from 'vitest'
import { cgroupModeOf } from '../../../src/platform/cgroup-mode.ts'
import { parseMountInfo } from '../../../src/platform/mounts.ts'
import { routes4, routes6 } from '../../../src/platform/routes.ts'

test('IPv4 routes are read, the default route left out', () => {
  const text = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
vpn\t000010AC\t00000000\t0001\t0\t0\t0\t0000F0FF\t0\t0\t0
`
  expect(routes4(text)).toEqual([
    { prefix: '192.0.2.0/24', device: 'eth0' },
    { prefix: '172.16.0.0/12', device: 'vpn' },
  ])
})

test('IPv6 routes are read, without those that every link has', () => {
  const line = (destination: string, bits: string, device: string) =>
    `${destination} ${bits} ${'0'.repeat(32)} 00 ${'0'.repeat(32)} 00000100 00000001 00000000 00000001 ${device.padStart(8)}`
  const text = [
    line('fd000000000000000000000000000000', '40', 'eth0'),
    line('fe800000000000000000000000000000', '40', 'eth0'),
    line('ff000000000000000000000000000000', '08', 'eth0'),
    line('00000000000000000000000000000001', '80', 'lo'),
    line('00000000000000000000000000000000', '00', 'eth0'),
  ].join('\n')
  expect(routes6(text)).toEqual([{ prefix: 'fd00:0000:0000:0000:0000:0000:0000:0000/64', device: 'eth0' }])
})

const mounts = (...lines: string[]) => parseMountInfo(lines.join('\n'))

test('mounts are read with blanks in their names and any number of optional fields', () => {
  expect(
    mounts(
      '36 35 98:0 / /mnt/with\\040blank rw,noatime master:1 shared:2 - ext4 /dev/my\\134disk rw,errors=continue',
      '37 35 0:5 / /proc rw - proc proc rw',
    ),
  ).toEqual([
    {
      mountPoint: '/mnt/with blank',
      type: 'ext4',
      source: '/dev/my\\disk',
      superOptions: ['rw', 'errors=continue'],
    },
    { mountPoint: '/proc', type: 'proc', source: 'proc', superOptions: ['rw'] },
  ])
})

test('the kind of control groups is told from the mounts', () => {
  const v1 = '30 29 0:26 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct'
  const hybrid = '31 29 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw'
  const v2 = '30 29 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate'
  expect(cgroupModeOf(mounts(v1), '', false)).toEqual({
    version: 'v1',
    systemd: false,
    controllers: ['cpu', 'cpuacct'],
  })
  expect(cgroupModeOf(mounts(v1, hybrid), '', true)).toMatchObject({ version: 'hybrid', systemd: true })
  expect(cgroupModeOf(mounts(v2), 'cpu io memory pids\n', true)).toEqual({
    version: 'v2',
    systemd: true,
    controllers: ['cpu', 'io', 'memory', 'pids'],
  })
  expect(cgroupModeOf([], '', false).version).toBe('none')
})
