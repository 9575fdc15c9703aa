import { readFileSync, readlinkSync } from 'node:fs'
import { expect } from 'vitest'
import { attributeTests, type Seen } from './attribute-lab.ts'

const CAPABILITY = { NET_RAW: 13n, SYS_ADMIN: 21n, SYS_TIME: 25n, CHOWN: 0n } as const
const has = (seen: Seen, name: keyof typeof CAPABILITY): boolean =>
  ((BigInt(`0x${seen.status('CapBnd')}`) >> CAPABILITY[name]) & 1n) === 1n
const namespace = (pid: number | 'self', kind: string): string => readlinkSync(`/proc/${pid}/ns/${kind}`)

attributeTests({
  files: {
    'profile.json': JSON.stringify({
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 1 }],
    }),
  },
  cases: [
    {
      name: 'cap_add and cap_drop',
      service: { cap_add: ['SYS_TIME'], cap_drop: ['CHOWN', 'NET_RAW'] },
      seen: (seen) => {
        expect(has(seen, 'SYS_TIME')).toBe(true)
        expect(has(seen, 'CHOWN')).toBe(false)
        expect(has(seen, 'NET_RAW')).toBe(false)
      },
    },
    {
      name: 'cap_drop: ALL',
      service: { cap_drop: ['ALL'] },
      seen: (seen) => expect(seen.status('CapBnd')).toMatch(/^0+$/),
    },
    {
      name: 'privileged: every capability, no seccomp, devices of the host',
      service: { privileged: true },
      probe: 'test -c /dev/kmsg && test -w /proc/sys/kernel && echo open',
      seen: (seen) => {
        expect(has(seen, 'SYS_ADMIN')).toBe(true)
        expect(seen.status('Seccomp')).toBe('0')
        expect(seen.inside).toBe('open')
      },
    },
    {
      name: 'security_opt: the default filter and no new privileges',
      service: { security_opt: ['no-new-privileges:true'] },
      seen: (seen) => {
        expect(seen.status('Seccomp')).toBe('2')
        expect(seen.status('NoNewPrivs')).toBe('1')
      },
    },
    {
      name: 'security_opt: seccomp unconfined',
      service: { security_opt: ['seccomp=unconfined'] },
      seen: (seen) => expect(seen.status('Seccomp')).toBe('0'),
    },
    {
      name: 'security_opt: a seccomp profile of the project',
      service: { security_opt: ['seccomp=./profile.json'] },
      probe: 'mkdir /tmp/x',
      seen: /Operation not permitted/,
    },
    {
      name: 'user and group_add',
      service: { user: '1234:2345', group_add: [3456, '4567'] },
      probe: 'id -u; id -G',
      seen: '1234\n2345 3456 4567',
    },
    {
      name: 'user by name',
      service: { user: 'daemon' },
      probe: 'id -un',
      seen: 'daemon',
    },
    {
      name: 'devices with target and permissions',
      service: { devices: ['/dev/null:/dev/nothing:r', '/dev/zero:/dev/nil'] },
      probe: 'ls -l /dev/nothing | cut -c1; head -c 2 /dev/nil | wc -c',
      seen: 'c\n2',
    },
    {
      name: 'device_cgroup_rules',
      service: { device_cgroup_rules: ['b 7:7 r'], cap_add: ['MKNOD'] },
      probe:
        'mknod /tmp/loop b 7 7; head -c 0 /tmp/loop && echo readable; echo x 2>/dev/null >/tmp/loop || echo no writes',
      seen: 'readable\nno writes',
    },
    {
      name: 'ipc: host',
      service: { ipc: 'host' },
      seen: ({ container }) => expect(namespace(container.state.pid, 'ipc')).toBe(namespace('self', 'ipc')),
    },
    {
      name: 'pid: host',
      service: { pid: 'host' },
      seen: ({ container }) => expect(namespace(container.state.pid, 'pid')).toBe(namespace('self', 'pid')),
    },
    {
      name: 'uts: host',
      service: { uts: 'host' },
      seen: ({ container }) => expect(namespace(container.state.pid, 'uts')).toBe(namespace('self', 'uts')),
    },
    {
      name: 'cgroup: host',
      service: { cgroup: 'host' },
      seen: ({ container }) => expect(namespace(container.state.pid, 'cgroup')).toBe(namespace('self', 'cgroup')),
    },
    {
      name: 'cgroup: private',
      service: { cgroup: 'private' },
      seen: ({ container }) => expect(namespace(container.state.pid, 'cgroup')).not.toBe(namespace('self', 'cgroup')),
    },
    {
      name: 'userns_mode: host',
      service: { userns_mode: 'host' },
      seen: ({ container }) => expect(namespace(container.state.pid, 'user')).toBe(namespace('self', 'user')),
    },
    {
      name: 'ipc: shareable',
      service: { ipc: 'shareable' },
      seen: ({ container }) => expect(namespace(container.state.pid, 'ipc')).not.toBe(namespace('self', 'ipc')),
    },
    {
      name: 'ipc and pid of another service',
      service: { ipc: 'service:s16', pid: 'service:s16' },
      seen: async ({ container, work }) => {
        const other = (await (await work.engine()).containers.list()).find(
          (c) => c.labels['com.docker.compose.service'] === 's16',
        )
        const pid = other?.state.pid ?? 0
        expect(namespace(container.state.pid, 'ipc')).toBe(namespace(pid, 'ipc'))
        expect(namespace(container.state.pid, 'pid')).toBe(namespace(pid, 'pid'))
      },
    },
    {
      name: 'read_only, with a tmpfs of its own size and mode',
      service: { read_only: true, tmpfs: ['/scratch:size=3m,mode=1750'] },
      probe: "touch /x; touch /scratch/x && df -k /scratch | awk 'NR==2{print $2}'; stat -c %a /scratch",
      seen: /Read-only file system\n3072\n1750$/,
    },
    {
      name: 'init',
      service: { init: true },
      probe: 'test $$ != 1 && echo not first',
      seen: ({ inside, container }) => {
        expect(inside).toBe('not first')
        expect(readFileSync(`/proc/${container.state.pid}/cmdline`, 'utf8')).not.toMatch(/^sh\0/)
      },
    },
  ],
})
