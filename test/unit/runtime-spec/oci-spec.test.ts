import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { CAPABILITIES } from '../../../src/runtime/capabilities.ts'
import { buildOciSpec, networkSysctls } from '../../../src/runtime/oci-spec.ts'
import type { HostFacts, OciSpecInput } from '../../../src/runtime/oci-spec-input.ts'
import type { OciSpec } from '../../../src/runtime/oci-spec-types.ts'

const HOST: HostFacts = {
  arch: 'x64',
  cgroupVersion: 1,
  swapLimit: true,
  capabilities: CAPABILITIES,
  oomScoreAdjFloor: -1000,
  apparmor: false,
  selinux: false,
  mayRaiseLimits: true,
  hardLimits: {},
  devices: [{ path: '/dev/fuse', type: 'c', major: 10, minor: 229, fileMode: 0o666, uid: 0, gid: 0 }],
}

const ENGINE = '/var/lib/engine'
const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** What dockerd 20.10 wrote for a container of the same settings; paths of its own are all `/var/lib/engine`. */
function dockerd(name: string): OciSpec {
  return JSON.parse(readFileSync(`${import.meta.dirname}/dockerd/${name}.json`, 'utf8'))
}

function inputLike(reference: OciSpec, changes: Partial<OciSpecInput> = {}): OciSpecInput {
  const [, instance = '', id = ''] = /^\/(.*)\/(.*)$/.exec(reference.linux.cgroupsPath) ?? []
  return {
    id,
    instance,
    rootPath: ENGINE,
    args: ['sleep', '100'],
    env: [PATH, `HOSTNAME=${reference.hostname}`],
    cwd: '/',
    user: { uid: 0, gid: 0, additionalGids: [0, 0, 1, 2] },
    hostname: reference.hostname,
    network: { kind: 'new' },
    files: { resolvConf: ENGINE, hostname: ENGINE, hosts: ENGINE },
    host: HOST,
    ...changes,
  }
}

function withoutSeccomp(spec: OciSpec): OciSpec {
  const { seccomp: _, ...linux } = spec.linux
  return { ...spec, linux }
}

describe('the spec equals what dockerd generates', () => {
  test('for a container without any setting, seccomp profile included', () => {
    const reference = dockerd('default')
    expect(buildOciSpec(inputLike(reference))).toEqual(reference)
  })

  test('for a tty and an init', () => {
    const reference = dockerd('tty-init')
    const input = inputLike(reference, {
      tty: true,
      initPath: '/usr/bin/docker-init',
      env: [PATH, `HOSTNAME=${reference.hostname}`, 'TERM=xterm'],
    })
    expect(withoutSeccomp(buildOciSpec(input))).toEqual(reference)
  })

  test('for limits, ulimits and sysctls', () => {
    const reference = dockerd('limits')
    const input = inputLike(reference, {
      shmSizeBytes: 32 * 1024 * 1024,
      sysctls: { 'net.ipv4.ip_unprivileged_port_start': '80' },
      ulimits: [{ name: 'nofile', soft: 1024, hard: 2048 }],
      resources: {
        memoryBytes: 64 * 1024 * 1024,
        memorySwapBytes: 64 * 1024 * 1024,
        nanoCpus: 5e8,
        cpuShares: 512,
        cpusetCpus: '0',
        pidsLimit: 50,
        oomScoreAdj: 100,
      },
    })
    expect(withoutSeccomp(buildOciSpec(input))).toEqual(reference)
  })

  test('for mounts, a device, a user, capabilities, a read-only root and no-new-privileges', () => {
    const reference = dockerd('mounts')
    const input = inputLike(reference, {
      args: ['sleep', '100'],
      env: [PATH, 'HOSTNAME=hh', 'A=b'],
      cwd: '/x',
      domainname: 'dd',
      user: { uid: 65534, gid: 65534, additionalGids: [65534, 5] },
      readOnlyRootfs: true,
      security: { capAdd: ['NET_ADMIN'], capDrop: ['ALL'], options: ['no-new-privileges'] },
      mounts: [
        { kind: 'bind', source: ENGINE, target: '/a', readOnly: true, propagation: 'rprivate' },
        { kind: 'bind', source: ENGINE, target: '/b' },
        { kind: 'bind', source: '/tmp', target: '/c', propagation: 'rslave' },
        { kind: 'tmpfs', target: '/t', options: ['size=1m,mode=700'] },
      ],
      devices: {
        nodes: [{ path: '/dev/xnull', type: 'c', major: 1, minor: 3, fileMode: 0o666, uid: 0, gid: 0 }],
        rules: [{ allow: true, type: 'c', major: 1, minor: 3, access: 'rw' }],
      },
    })
    const spec = buildOciSpec(input)
    expect(withoutSeccomp(spec)).toEqual(reference)
    // Without CAP_SYS_CHROOT the filter lets chroot through no longer.
    const all = dockerd('default').linux.seccomp
    expect(spec.linux.seccomp?.syscalls).toEqual(all?.syscalls.filter((rule) => !rule.names.includes('chroot')))
  })

  test('for every namespace of the host', () => {
    const reference = dockerd('hostnet')
    const host = { kind: 'host' } as const
    const input = inputLike(reference, {
      env: [PATH, 'HOSTNAME=vm'],
      network: { kind: 'path', path: ENGINE },
      namespaces: { pid: host, ipc: host, uts: host, cgroup: host, shm: '/dev/shm' },
      security: { options: ['label=disable'] },
    })
    const { hostname: _, ...spec } = withoutSeccomp(buildOciSpec({ ...input, hostname: undefined })) as OciSpec
    expect(spec).toEqual(reference)
  })

  test('for seccomp=unconfined', () => {
    const reference = dockerd('unconf')
    const input = inputLike(reference, { security: { options: ['seccomp=unconfined'] } })
    expect(buildOciSpec(input)).toEqual(reference)
  })
})

describe('namespaces', () => {
  const base = inputLike(dockerd('default'))

  test('a network namespace of the shim is not named, and its sysctls are left to the shim', () => {
    const spec = buildOciSpec({
      ...base,
      network: { kind: 'own' },
      sysctls: { 'net.core.somaxconn': '7', 'kernel.msgmax': '9' },
    })
    expect(spec.linux.namespaces.map((n) => n.type)).not.toContain('network')
    expect(spec.linux.sysctl).toEqual({ 'kernel.msgmax': '9' })
    expect(networkSysctls({ 'net.core.somaxconn': '7', 'kernel.msgmax': '9' })).toEqual({
      'net.ipv4.ip_unprivileged_port_start': '0',
      'net.ipv4.ping_group_range': '0 2147483647',
      'net.core.somaxconn': '7',
    })
  })

  test('network sysctls are refused in the host network', () => {
    expect(() => buildOciSpec({ ...base, network: { kind: 'host' }, sysctls: { 'net.core.somaxconn': '7' } })).toThrow(
      "sysctl 'net.core.somaxconn' not allowed in host network namespace",
    )
  })

  test('cgroup v2 gives a cgroup namespace of its own', () => {
    const spec = buildOciSpec({ ...base, host: { ...HOST, cgroupVersion: 2 } })
    expect(spec.linux.namespaces).toContainEqual({ type: 'cgroup' })
  })

  test('a cgroup parent that climbs is refused', () => {
    expect(() => buildOciSpec({ ...base, resources: { cgroupParent: '/a/../..' } })).toThrow('invalid cgroup_parent')
    expect(buildOciSpec({ ...base, resources: { cgroupParent: '/a/b' } }).linux.cgroupsPath).toBe(`/a/b/${base.id}`)
  })
})

describe('privileged', () => {
  const base = inputLike(dockerd('default'))

  test('gives all of our own capabilities and not more, all devices, and neither seccomp nor masked paths', () => {
    const available = CAPABILITIES.filter((name) => name !== 'CAP_SYS_RESOURCE')
    const spec = buildOciSpec({ ...base, security: { privileged: true }, host: { ...HOST, capabilities: available } })
    expect(spec.process.capabilities.effective).toEqual(available)
    expect(spec.linux.seccomp).toBeUndefined()
    expect(spec.linux.maskedPaths).toBeUndefined()
    expect(spec.linux.readonlyPaths).toBeUndefined()
    expect(spec.linux.devices).toEqual(HOST.devices)
    expect(spec.linux.resources.devices).toEqual([{ allow: true, access: 'rwm' }])
    expect(spec.mounts.find((mount) => mount.destination === '/sys')?.options).not.toContain('ro')
  })
})

describe('security options', () => {
  const base = inputLike(dockerd('default'))
  const withOptions = (...options: string[]) => buildOciSpec({ ...base, security: { options } })

  test('systempaths=unconfined shows the whole of /proc', () => {
    expect(withOptions('systempaths=unconfined').linux.maskedPaths).toBeUndefined()
  })

  test('a profile is resolved for the container', () => {
    const profile = JSON.stringify({
      defaultAction: 'SCMP_ACT_ALLOW',
      archMap: [{ architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] }],
      syscalls: [
        { names: ['mkdir'], action: 'SCMP_ACT_ERRNO', errnoRet: 13 },
        { name: 'chroot', action: 'SCMP_ACT_ERRNO', includes: { caps: ['CAP_SYS_CHROOT'] } },
        { names: ['mount'], action: 'SCMP_ACT_ERRNO', includes: { caps: ['CAP_SYS_ADMIN'] } },
        { names: ['bpf'], action: 'SCMP_ACT_ERRNO', excludes: { arches: ['amd64'] } },
      ],
    })
    expect(withOptions(`seccomp=${profile}`).linux.seccomp).toEqual({
      defaultAction: 'SCMP_ACT_ALLOW',
      architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'],
      syscalls: [
        { names: ['mkdir'], action: 'SCMP_ACT_ERRNO', errnoRet: 13 },
        { names: ['chroot'], action: 'SCMP_ACT_ERRNO' },
      ],
    })
  })

  test('the older spelling with a colon is read', () => {
    expect(withOptions('seccomp:unconfined').linux.seccomp).toBeUndefined()
    expect(withOptions('no-new-privileges:true').process.noNewPrivileges).toBe(true)
    expect(withOptions('no-new-privileges:false').process.noNewPrivileges).toBeUndefined()
  })

  test.each(['nonsense', 'nonsense=1', 'no-new-privileges=maybe', 'systempaths=some'])('%s is refused', (option) => {
    expect(() => withOptions(option)).toThrow('invalid --security-opt')
  })

  test('an AppArmor profile that cannot be applied is an error, not a silence', () => {
    expect(() => withOptions('apparmor=mine')).toThrow('apparmor profile mine')
    expect(() => withOptions('apparmor=unconfined')).not.toThrow()
  })
})

describe('limits', () => {
  const base = inputLike(dockerd('default'))

  test('a score below what this process may set is raised to it', () => {
    const host = { ...HOST, oomScoreAdjFloor: 0 }
    expect(buildOciSpec({ ...base, host, resources: { oomScoreAdj: -500 } }).process.oomScoreAdj).toBe(0)
  })

  test('an explicit ulimit above our own is an error that says so', () => {
    const host = { ...HOST, mayRaiseLimits: false, hardLimits: { nofile: 20000 } }
    const ulimits = [{ name: 'nofile', soft: 1024, hard: 65536 }]
    expect(() => buildOciSpec({ ...base, host, ulimits })).toThrow(
      "ulimit nofile: 65536 is above this process's own limit",
    )
  })

  test('an unlimited ulimit is written with all its digits', () => {
    const spec = buildOciSpec({ ...base, ulimits: [{ name: 'memlock', soft: -1, hard: -1 }] })
    expect(JSON.stringify(spec.process.rlimits)).toBe(
      '[{"type":"RLIMIT_MEMLOCK","hard":18446744073709551615,"soft":18446744073709551615}]',
    )
  })

  test('swap is twice the memory unless set, and unset where the kernel does not count it', () => {
    const resources = { memoryBytes: 64 * 1024 * 1024 }
    expect(buildOciSpec({ ...base, resources }).linux.resources.memory?.swap).toBe(128 * 1024 * 1024)
    const host = { ...HOST, swapLimit: false }
    expect(buildOciSpec({ ...base, resources, host }).linux.resources.memory?.swap).toBeUndefined()
  })

  test('a device rule is read as Docker writes it', () => {
    const rules = buildOciSpec({ ...base, deviceCgroupRules: ['c 1:3 mr', 'a *:7 rwm'] }).linux.resources.devices
    expect(rules?.slice(-2)).toEqual([
      { allow: true, type: 'c', major: 1, minor: 3, access: 'mr' },
      { allow: true, type: 'a', minor: 7, access: 'rwm' },
    ])
    expect(() => buildOciSpec({ ...base, deviceCgroupRules: ['c 1:3'] })).toThrow('invalid device cgroup rule format')
  })
})

describe('mounts', () => {
  const base = inputLike(dockerd('default'))

  test('a mount of the user takes the place of a default one', () => {
    const spec = buildOciSpec({
      ...base,
      mounts: [
        { kind: 'tmpfs', target: '/dev/shm', sizeBytes: 1024 },
        { kind: 'bind', source: '/h', target: '/etc/hosts' },
      ],
    })
    const of = (target: string) => spec.mounts.filter((mount) => mount.destination === target)
    expect(of('/dev/shm')).toEqual([
      {
        destination: '/dev/shm',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['noexec', 'nosuid', 'nodev', 'rprivate', 'size=1024'],
      },
    ])
    expect(of('/etc/hosts')).toEqual([{ destination: '/etc/hosts', type: 'bind', source: '/h', options: ['rbind'] }])
  })

  test('a mount below another comes after it, whatever the order given', () => {
    const spec = buildOciSpec({
      ...base,
      mounts: [
        { kind: 'tmpfs', target: '/a/b/c' },
        { kind: 'tmpfs', target: '/a' },
        { kind: 'tmpfs', target: '/a/b' },
      ],
    })
    const order = spec.mounts.map((mount) => mount.destination).filter((target) => target.startsWith('/a'))
    expect(order).toEqual(['/a', '/a/b', '/a/b/c'])
  })

  test('options of a tmpfs replace the defaults in their kind, and an unknown one is refused', () => {
    const options = (list: string[]) =>
      buildOciSpec({ ...base, mounts: [{ kind: 'tmpfs', target: '/t', options: list }] }).mounts.find(
        (mount) => mount.destination === '/t',
      )?.options
    expect(options(['exec', 'size=1m', 'size=2m'])).toEqual(['nosuid', 'nodev', 'rprivate', 'exec', 'size=2m'])
    expect(() => options(['frob'])).toThrow('invalid tmpfs option "frob"')
  })

  test('recursive: disabled binds the one file system, readonly reaches those below', () => {
    const options = (recursive: 'disabled' | 'readonly') =>
      buildOciSpec({
        ...base,
        mounts: [{ kind: 'bind', source: '/h', target: '/t', readOnly: true, recursive, propagation: 'rprivate' }],
      }).mounts.find((mount) => mount.destination === '/t')?.options
    expect(options('disabled')).toEqual(['bind', 'ro', 'rprivate'])
    expect(options('readonly')).toEqual(['rbind', 'ro', 'rro', 'rprivate'])
  })
})
