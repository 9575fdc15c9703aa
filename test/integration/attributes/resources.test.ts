import { existsSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { afterAll, expect } from 'vitest'
import type { Workspace } from '../../support/workspace.ts'
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

interface Control {
  readonly attribute: string
  /** Any of these, in the cgroup of the container: of version 1 below its controller, of version 2 the plain name. */
  readonly files: readonly string[]
  readonly value: RegExp
}

/** A limit that many kernels have no control for: kept where there is one, and refused by its name elsewhere. */
async function keptOrRefused(work: Workspace, service: object, { attribute, files, value }: Control): Promise<void> {
  const name = `limit-${attribute.replaceAll(/\W/g, '-')}`
  const cwd = `${work.dir}/${name}`
  const web = { image: 'busybox', network_mode: 'none', stop_grace_period: '0s', command: ['sleep', '2147483647'] }
  work.write({ [`${name}/compose.yaml`]: JSON.stringify({ services: { web: { ...web, ...service } } }) })
  const { code, stderr } = await work.tcompose(['up', '-d'], { cwd })
  if (stderr.includes(`${attribute} cannot be set: this kernel has no cgroup control for it`)) {
    expect(code).not.toBe(0)
    expect(files.filter((file) => existsSync(`/sys/fs/cgroup/${file}`))).toEqual([])
  } else {
    expect(code, stderr).toBe(0)
    const containers = await (await work.engine()).containers.list()
    const found = containers.find((one) => one.labels['com.docker.compose.project'] === name)
    const path = files.map((file) => controlOf(found?.state.pid ?? 0, file)).find(existsSync) ?? ''
    expect(readFileSync(path, 'utf8')).toMatch(value)
  }
  await work.ok(['down'], { cwd })
}

function controlOf(pid: number, file: string): string {
  const [controller = '', control] = file.split('/')
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n')
  const below = (names: string) => lines.find((line) => line.split(':')[1]?.split(',').includes(names))?.split(':')[2]
  return control === undefined
    ? `/sys/fs/cgroup${below('')}/${file}`
    : `/sys/fs/cgroup/${controller}${below(controller)}/${control}`
}

attributeTests({
  cases: [
    {
      name: 'cpu_rt_runtime and cpu_rt_period: kept, or refused by name',
      service: { command: ['sleep', '2147483647'] },
      seen: async ({ work }) => {
        await keptOrRefused(
          work,
          { cpu_rt_period: 900_000 },
          { attribute: 'cpu_rt_period', files: ['cpu/cpu.rt_period_us'], value: /^900000$/m },
        )
        // A cgroup has real time to give only if its own parent gave it some.
        const budget = `/sys/fs/cgroup/cpu/${parent}/cpu.rt_runtime_us`
        if (existsSync(budget)) writeFileSync(budget, '10000')
        await keptOrRefused(
          work,
          { cpu_rt_runtime: 1000, cgroup_parent: parent },
          { attribute: 'cpu_rt_runtime', files: ['cpu/cpu.rt_runtime_us'], value: /^1000$/m },
        )
      },
    },
    {
      name: 'blkio_config: weights are kept, or refused by name',
      service: { command: ['sleep', '2147483647'] },
      seen: async ({ work }) => {
        await keptOrRefused(
          work,
          { blkio_config: { weight: 300 } },
          {
            attribute: 'blkio_config.weight',
            files: ['blkio/blkio.weight', 'blkio/blkio.bfq.weight', 'io.bfq.weight', 'io.weight'],
            // The last is on a scale of its own.
            value: /\b(300|2929)$/m,
          },
        )
        await keptOrRefused(
          work,
          { blkio_config: { weight_device: [{ path: disk, weight: 400 }] } },
          {
            attribute: 'blkio_config.weight_device',
            files: ['blkio/blkio.weight_device', 'blkio/blkio.bfq.weight_device', 'io.bfq.weight'],
            value: / 400$/m,
          },
        )
      },
    },
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
