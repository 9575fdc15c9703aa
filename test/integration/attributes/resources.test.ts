import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { afterAll, expect } from 'vitest'
import { attributeTests, type Seen } from './attribute-lab.ts'

/** Unique, as it is a folder of the whole machine. */
const parent = `tct-attributes-${process.pid}`
const MIB = 1024 * 1024
/** Any disk of the machine: limits are kept for whole devices. */
const disk = `/dev/${readdirSync('/sys/block').find((name) => !name.startsWith('loop')) ?? 'loop0'}`
const isV1 = existsSync('/sys/fs/cgroup/memory')
/** A limit as the kernel says it, in the words of the version that this machine has. */
const either = (v1: string, v2: string): string => (existsSync('/sys/fs/cgroup/cgroup.controllers') ? v2 : v1)
const quota = (seen: Seen): string =>
  isV1
    ? `${seen.control('cpu', 'cpu.cfs_quota_us', '')} ${seen.control('cpu', 'cpu.cfs_period_us', '')}`
    : seen.control('cpu', '', 'cpu.max')

afterAll(() => {
  if (!isV1) return rmdirSync(`/sys/fs/cgroup/${parent}`)
  for (const name of readdirSync('/sys/fs/cgroup')) {
    const path = `/sys/fs/cgroup/${name}/${parent}`
    if (existsSync(path)) rmdirSync(path)
  }
})

attributeTests({
  cases: [
    { name: 'cpus is a quota', service: { cpus: 0.5 }, seen: (seen) => expect(quota(seen)).toBe('50000 100000') },
    {
      name: 'cpu_quota and cpu_period',
      service: { cpu_quota: 20000, cpu_period: 40000 },
      seen: (seen) => expect(quota(seen)).toBe('20000 40000'),
    },
    {
      name: 'cpu_shares is a weight',
      service: { cpu_shares: 512 },
      seen: (seen) => expect(seen.control('cpu', 'cpu.shares', 'cpu.weight')).toBe(either('512', '20')),
    },
    {
      name: 'cpuset',
      service: { cpuset: '0' },
      seen: (seen) => {
        expect(seen.control('cpuset', 'cpuset.cpus', 'cpuset.cpus')).toBe('0')
        expect(seen.status('Cpus_allowed_list')).toBe('0')
      },
    },
    {
      name: 'mem_limit, mem_reservation and memswap_limit',
      service: { mem_limit: '64m', mem_reservation: '32m', memswap_limit: '96m' },
      seen: (seen) => {
        expect(seen.control('memory', 'memory.limit_in_bytes', 'memory.max')).toBe(String(64 * MIB))
        expect(seen.control('memory', 'memory.soft_limit_in_bytes', 'memory.low')).toBe(String(32 * MIB))
        expect(seen.control('memory', 'memory.memsw.limit_in_bytes', 'memory.swap.max')).toBe(
          String(either(String(96 * MIB), String(32 * MIB))),
        )
      },
    },
    {
      name: 'oom_score_adj',
      service: { oom_score_adj: 321 },
      seen: ({ container }) =>
        expect(readFileSync(`/proc/${container.state.pid}/oom_score_adj`, 'utf8').trim()).toBe('321'),
    },
    ...(isV1
      ? [
          {
            name: 'mem_swappiness',
            service: { mem_swappiness: 7 },
            seen: (seen: Seen) => expect(seen.control('memory', 'memory.swappiness', '')).toBe('7'),
          },
          {
            name: 'oom_kill_disable',
            service: { oom_kill_disable: true, mem_limit: '64m' },
            seen: (seen: Seen) =>
              expect(seen.control('memory', 'memory.oom_control', '')).toContain('oom_kill_disable 1'),
          },
        ]
      : []),
    {
      name: 'pids_limit',
      service: { pids_limit: 17 },
      seen: (seen) => expect(seen.control('pids', 'pids.max', 'pids.max')).toBe('17'),
    },
    {
      name: 'blkio_config: rates of a device',
      service: {
        blkio_config: {
          device_read_bps: [{ path: disk, rate: '12mb' }],
          device_write_bps: [{ path: disk, rate: '1mb' }],
          device_read_iops: [{ path: disk, rate: 120 }],
          device_write_iops: [{ path: disk, rate: 30 }],
        },
      },
      seen: (seen) => {
        const read = (v1: string): string => seen.control('blkio', `blkio.throttle.${v1}_device`, 'io.max')
        expect(read('read_bps')).toMatch(new RegExp(either(`${12 * MIB}$`, `rbps=${12 * MIB}`)))
        expect(read('write_bps')).toMatch(new RegExp(either(`${MIB}$`, `wbps=${MIB}`)))
        expect(read('read_iops')).toMatch(new RegExp(either(' 120$', 'riops=120')))
        expect(read('write_iops')).toMatch(new RegExp(either(' 30$', 'wiops=30')))
      },
    },
    {
      name: 'cgroup_parent',
      service: { cgroup_parent: parent },
      seen: ({ container }) =>
        expect(readFileSync(`/proc/${container.state.pid}/cgroup`, 'utf8')).toContain(`/${parent}/`),
    },
    {
      name: 'deploy.resources.limits: cpus, memory and pids',
      service: { deploy: { resources: { limits: { cpus: '0.25', memory: '48M', pids: 23 } } } },
      seen: (seen) => {
        expect(quota(seen)).toBe('25000 100000')
        expect(seen.control('memory', 'memory.limit_in_bytes', 'memory.max')).toBe(String(48 * MIB))
        expect(seen.control('pids', 'pids.max', 'pids.max')).toBe('23')
      },
    },
    {
      name: 'deploy.resources.reservations.memory',
      service: { deploy: { resources: { reservations: { memory: '24M' } } } },
      seen: (seen) => expect(seen.control('memory', 'memory.soft_limit_in_bytes', 'memory.low')).toBe(String(24 * MIB)),
    },
    {
      name: 'ulimits: one number, and soft with hard',
      service: { ulimits: { nproc: 111, nofile: { soft: 222, hard: 333 } } },
      probe: "awk '/open files|processes/{print $(NF-2), $(NF-1)}' /proc/self/limits",
      seen: '111 111\n222 333',
    },
    {
      name: 'shm_size',
      service: { shm_size: '9m' },
      probe: "df -k /dev/shm | awk 'NR==2{print $2}'",
      seen: '9216',
    },
    {
      name: 'sysctls',
      service: { sysctls: { 'net.ipv4.ip_unprivileged_port_start': 77, 'kernel.msgmax': '9000' } },
      probe: 'cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax',
      seen: '77\n9000',
    },
  ],
})
