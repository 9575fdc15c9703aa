import { describe, expect, test } from 'vitest'
import type { Project, Service } from '../../../src/compose/types.ts'
import { toVolumesFrom } from '../../../src/project/container-mounts.ts'
import { type SpecContext, toContainerSpec } from '../../../src/project/container-spec.ts'
import { project } from './builders.ts'

function context(of: Project, parts: Partial<SpecContext> = {}): SpecContext {
  return {
    project: of,
    service: 'web',
    name: 'app-web-1',
    image: 'base',
    labels: {},
    containerOf: (service) => `id-of-${service}`,
    linkedContainers: (service) => [{ name: `app-${service}-1`, number: 1 }],
    inherited: new Map(),
    aliases: true,
    oneOff: false,
    readFile: (path) => `{"from":"${path}"}`,
    ...parts,
  }
}

function specOf(service: Service, parts: Partial<Project> = {}, more: Partial<SpecContext> = {}) {
  const base = project({ services: { web: service } })
  const of = { ...base, ...parts, networks: { ...base.networks, ...parts.networks } }
  return toContainerSpec(of.services.web as Service, context(of, more))
}

describe('process', () => {
  test('command, entrypoint, user, directory and terminal', () => {
    const spec = specOf({
      command: ['serve', '-p', '80'],
      entrypoint: ['/init'],
      user: '1000:1000',
      working_dir: '/srv',
      tty: true,
      stdin_open: true,
      group_add: ['audio', '44'],
      init: true,
    })
    expect(spec).toMatchObject({
      command: ['serve', '-p', '80'],
      entrypoint: ['/init'],
      user: '1000:1000',
      workingDir: '/srv',
      tty: true,
      openStdin: true,
      groupAdd: ['audio', '44'],
      init: true,
    })
  })
  test("null command and entrypoint leave the image's, empty ones clear it", () => {
    expect(specOf({ command: null, entrypoint: null })).toMatchObject({ command: undefined, entrypoint: undefined })
    expect(specOf({ command: [], entrypoint: [] })).toMatchObject({ command: [], entrypoint: [] })
  })
  test('variables without a value are not set', () => {
    expect(specOf({ environment: { A: '1', B: null, C: '' } }).env).toEqual(['A=1', 'C='])
  })
  test('stop signal and grace period', () => {
    expect(specOf({ stop_signal: 'SIGQUIT', stop_grace_period: '1m30s' })).toMatchObject({
      stopSignal: 'SIGQUIT',
      stopTimeoutSeconds: 90,
    })
  })
})

describe('healthcheck', () => {
  test('times become nanoseconds', () => {
    const spec = specOf({
      healthcheck: {
        test: ['CMD', 'true'],
        interval: '1m30s',
        timeout: '500ms',
        retries: 4,
        start_period: '10s',
        start_interval: '1s',
      },
    })
    expect(spec.healthcheck).toEqual({
      test: ['CMD', 'true'],
      intervalNs: 90e9,
      timeoutNs: 5e8,
      retries: 4,
      startPeriodNs: 10e9,
      startIntervalNs: 1e9,
    })
  })
  test('disable is NONE', () => {
    expect(specOf({ healthcheck: { disable: true } }).healthcheck).toEqual({ test: ['NONE'] })
  })
  test('start_interval needs start_period', () => {
    expect(() => specOf({ healthcheck: { test: ['CMD', 'x'], start_interval: '1s' } })).toThrow(
      'healthcheck.start_interval requires healthcheck.start_period to be set',
    )
  })
})

describe('restart', () => {
  test.each([
    ['no', { name: 'no' }],
    ['always', { name: 'always' }],
    ['unless-stopped', { name: 'unless-stopped' }],
    ['on-failure', { name: 'on-failure', maximumRetryCount: 0 }],
    ['on-failure:3', { name: 'on-failure', maximumRetryCount: 3 }],
  ])('restart: %s', (text, policy) => {
    expect(specOf({ restart: text }).restart).toEqual(policy)
  })
  test('deploy.restart_policy wins', () => {
    expect(
      specOf({ restart: 'always', deploy: { restart_policy: { condition: 'on-failure', max_attempts: 2 } } }).restart,
    ).toEqual({ name: 'on-failure', maximumRetryCount: 2 })
    expect(specOf({ deploy: { restart_policy: { condition: 'none' } } }).restart).toEqual({ name: 'no' })
    expect(specOf({ deploy: { restart_policy: {} } }).restart).toEqual({ name: 'always' })
  })
  test('a one-off has none', () => {
    expect(specOf({ restart: 'always' }, {}, { oneOff: true }).restart).toEqual({ name: 'no' })
  })
  test('an unknown policy is an error', () => {
    expect(() => specOf({ restart: 'sometimes' })).toThrow('invalid restart policy: sometimes')
  })
})

describe('ports', () => {
  test('fixed, free, ranges and addresses', () => {
    expect(
      specOf({
        ports: [
          { target: 80, published: '8080', protocol: 'tcp' },
          { target: 81, protocol: 'udp' },
          { target: 82, published: '8000-8010', protocol: 'tcp', host_ip: '127.0.0.1' },
          { target: 83, published: '83', protocol: 'tcp', host_ip: '[::1]' },
        ],
      }).ports,
    ).toEqual([
      { containerPort: 80, protocol: 'tcp', hostIp: '', hostPort: 8080 },
      { containerPort: 81, protocol: 'udp', hostIp: '', hostPort: 0 },
      { containerPort: 82, protocol: 'tcp', hostIp: '127.0.0.1', hostPort: 8000, hostPortEnd: 8010 },
      { containerPort: 83, protocol: 'tcp', hostIp: '::1', hostPort: 83 },
    ])
  })
  test('published ports and expose, with ranges, are exposed', () => {
    expect(specOf({ expose: ['9000-9002', '53/udp'], ports: [{ target: 80, protocol: 'tcp' }] }).exposedPorts).toEqual([
      '9000/tcp',
      '9001/tcp',
      '9002/tcp',
      '53/udp',
      '80/tcp',
    ])
  })
})

describe('networks', () => {
  const networks = {
    a: { name: 'app_a' },
    b: { name: 'app_b' },
    c: { name: 'app_c' },
  }
  test('the primary one has the highest priority, then the first name', () => {
    const spec = specOf({ networks: { c: null, b: { priority: 10 }, a: null } }, { networks })
    expect(spec.network.kind === 'networks' && spec.network.endpoints.map((one) => one.network)).toEqual([
      'app_b',
      'app_a',
      'app_c',
    ])
  })
  test('aliases are the container, the service and its own', () => {
    const spec = specOf({ networks: { a: { aliases: ['www'] } } }, { networks })
    expect(spec.network.kind === 'networks' && spec.network.endpoints[0]?.aliases).toEqual(['app-web-1', 'web', 'www'])
  })
  test('a one-off without --use-aliases has its own name only', () => {
    const spec = specOf({ networks: { a: { aliases: ['www'] } } }, { networks }, { aliases: false })
    expect(spec.network.kind === 'networks' && spec.network.endpoints[0]?.aliases).toEqual(['app-web-1'])
  })
  test('addresses, MAC, gateway priority, interface name and driver options are passed on', () => {
    const spec = specOf(
      {
        mac_address: '02:00:00:00:00:01',
        networks: {
          a: {
            ipv4_address: '10.0.0.5',
            ipv6_address: 'fd00::5',
            link_local_ips: ['169.254.1.1'],
            gw_priority: 5,
            interface_name: 'lan0',
            driver_opts: { x: 'y' },
          },
        },
      },
      { networks },
    )
    expect(spec.network.kind === 'networks' && spec.network.endpoints[0]).toMatchObject({
      ipv4Address: '10.0.0.5',
      ipv6Address: 'fd00::5',
      linkLocalIps: ['169.254.1.1'],
      macAddress: '02:00:00:00:00:01',
      gwPriority: 5,
      interfaceName: 'lan0',
      driverOpts: { x: 'y' },
    })
  })
  test('links name containers, with and without an alias', () => {
    const spec = specOf(
      { networks: { a: null }, links: ['db', 'cache:redis'], external_links: ['old:legacy'] },
      { networks },
    )
    expect(spec.network.kind === 'networks' && spec.network.endpoints[0]?.links).toEqual([
      'app-db-1:db',
      'app-db-1:db-1',
      'app-db-1:app-db-1',
      'app-cache-1:redis',
      'app-cache-1:cache-1',
      'app-cache-1:app-cache-1',
      'old:legacy',
    ])
  })
  test.each([
    ['none', { kind: 'none' }],
    ['host', { kind: 'host' }],
    ['bridge', { kind: 'networks', endpoints: [{ network: 'bridge' }] }],
    ['service:db', { kind: 'container', container: 'id-of-db' }],
    ['container:other', { kind: 'container', container: 'other' }],
  ])('network_mode: %s', (mode, network) => {
    expect(specOf({ network_mode: mode }).network).toEqual(network)
  })
  test('namespaces of services are those of their containers', () => {
    expect(
      specOf({ pid: 'service:db', ipc: 'shareable', uts: 'host', cgroup: 'private', userns_mode: 'host' }).namespaces,
    ).toEqual({
      pid: 'container:id-of-db',
      ipc: 'shareable',
      uts: 'host',
      cgroup: 'private',
      user: 'host',
    })
  })
  test('DNS, search, options and extra hosts', () => {
    const spec = specOf({
      dns: ['1.1.1.1'],
      dns_search: ['corp'],
      dns_opt: ['ndots:1'],
      extra_hosts: ['a=1.2.3.4', 'b=[::1]', 'host=host-gateway'],
    })
    expect(spec.dns).toEqual({ servers: ['1.1.1.1'], search: ['corp'], options: ['ndots:1'] })
    expect(spec.extraHosts).toEqual(['a:1.2.3.4', 'b:::1', 'host:host-gateway'])
  })
})

describe('mounts', () => {
  const volumes = { data: { name: 'app_data' } }
  test('binds, volumes, tmpfs and images', () => {
    const spec = specOf(
      {
        volumes: [
          {
            type: 'bind',
            source: '/src',
            target: '/a',
            read_only: true,
            bind: { create_host_path: false, propagation: 'rshared' },
          },
          { type: 'volume', source: 'data', target: '/b', volume: { nocopy: true, subpath: 'sub' } },
          { type: 'volume', target: '/c' },
          { type: 'tmpfs', target: '/d', tmpfs: { size: '1048576', mode: 0o1770 } },
          { type: 'image', source: 'assets', target: '/e', image: { subpath: 'www' } },
        ],
        tmpfs: ['/run', '/tmp:size=64m,mode=1777'],
      },
      { volumes },
    )
    expect(spec.mounts).toEqual([
      { kind: 'bind', source: '/src', target: '/a', readOnly: true, createHostPath: false, propagation: 'rshared' },
      { kind: 'volume', source: 'app_data', target: '/b', readOnly: false, nocopy: true, subpath: 'sub' },
      { kind: 'volume', target: '/c', readOnly: false, nocopy: false },
      { kind: 'tmpfs', target: '/d', readOnly: false, sizeBytes: 1048576, mode: 0o1770 },
      { kind: 'image', source: 'assets', target: '/e', subpath: 'www' },
      { kind: 'tmpfs', target: '/run' },
      { kind: 'tmpfs', target: '/tmp', options: ['size=64m', 'mode=1777'] },
    ])
  })
  test('a bind without bind options makes its source', () => {
    const [mount] = specOf({ volumes: [{ type: 'bind', source: '/src', target: '/a' }] }).mounts ?? []
    expect(mount).toMatchObject({ createHostPath: true })
  })
  test('configs and secrets: files are bound, content and variables written', () => {
    const spec = specOf(
      {
        configs: [
          { source: 'file' },
          { source: 'inline', target: '/etc/x.conf', uid: '10', gid: '20', mode: '0440' },
          { source: 'var' },
        ],
        secrets: [{ source: 'token' }, { source: 'token', target: 'other' }],
      },
      {
        environment: { V: 'value' },
        configs: { file: { file: '/srv/file.txt' }, inline: { content: 'hello' }, var: { environment: 'V' } },
        secrets: { token: { file: '/srv/token' } },
      },
    )
    expect(spec.mounts).toEqual([
      { kind: 'bind', source: '/srv/file.txt', target: '/file', readOnly: true, createHostPath: false },
      { kind: 'data', target: '/etc/x.conf', data: 'hello', uid: 10, gid: 20, mode: 0o440 },
      { kind: 'data', target: '/var', data: 'value', uid: 0, gid: 0, mode: 0o444 },
      { kind: 'bind', source: '/srv/token', target: '/run/secrets/token', readOnly: true, createHostPath: false },
      { kind: 'bind', source: '/srv/token', target: '/run/secrets/other', readOnly: true, createHostPath: false },
    ])
  })
  test('a variable that a secret needs and that is not set is an error', () => {
    expect(() => specOf({ secrets: [{ source: 's' }] }, { secrets: { s: { environment: 'NOPE' } } })).toThrow(
      'environment variable "NOPE" required by secret "s" is not set',
    )
  })
  test('external configs are refused by name', () => {
    expect(() => specOf({ configs: [{ source: 'c' }] }, { configs: { c: { external: true } } })).toThrow(
      'unsupported external config c',
    )
  })
  test('volumes_from names the container and whether it is read-only', () => {
    const of = project({ services: { web: {} } })
    expect(toVolumesFrom({ volumes_from: ['db', 'cache:ro', 'container:old:ro'] }, context(of))).toEqual([
      { container: 'id-of-db', readOnly: false },
      { container: 'id-of-cache', readOnly: true },
      { container: 'old', readOnly: true },
    ])
  })
  test('an unknown kind is refused by name', () => {
    expect(() => specOf({ volumes: [{ type: 'cluster', source: 'x', target: '/x' }] })).toThrow('volume type cluster')
  })
})

describe('limits and security', () => {
  test('deploy.resources wins over the older attributes', () => {
    const spec = specOf({
      cpus: 1,
      mem_limit: '1048576',
      pids_limit: 10,
      deploy: {
        resources: { limits: { cpus: 0.5, memory: '2097152', pids: 20 }, reservations: { memory: '1000000' } },
      },
    })
    expect(spec.resources).toEqual({
      nanoCpus: 5e8,
      memoryBytes: 2097152,
      memoryReservationBytes: 1000000,
      pidsLimit: 20,
    })
  })
  test('processor, memory and block limits', () => {
    const spec = specOf({
      cpu_shares: 512,
      cpu_period: 100000,
      cpu_quota: 50000,
      cpuset: '0-1',
      memswap_limit: '-1',
      mem_swappiness: '10',
      oom_kill_disable: true,
      oom_score_adj: -500,
      cgroup_parent: '/x',
      blkio_config: {
        weight: 300,
        weight_device: [{ path: '/dev/sda', weight: 400 }],
        device_read_bps: [{ path: '/dev/sda', rate: '1048576' }],
      },
    })
    expect(spec.resources).toEqual({
      cpuShares: 512,
      cpuPeriod: 100000,
      cpuQuota: 50000,
      cpusetCpus: '0-1',
      memorySwapBytes: -1,
      memorySwappiness: 10,
      oomKillDisable: true,
      oomScoreAdj: -500,
      cgroupParent: '/x',
      blkioWeight: 300,
      blkioWeightDevice: [{ path: '/dev/sda', weight: 400 }],
      blkioDeviceReadBps: [{ path: '/dev/sda', rate: 1048576 }],
    })
  })
  test('ulimits, sysctls, devices, shm and read-only root', () => {
    const spec = specOf({
      ulimits: { nofile: 1024, nproc: { soft: 10, hard: 20 } },
      sysctls: { 'net.core.somaxconn': '1024' },
      devices: [{ source: '/dev/fuse' }, { source: '/dev/a', target: '/dev/b', permissions: 'r' }],
      device_cgroup_rules: ['c 1:3 mr'],
      shm_size: '67108864',
      read_only: true,
    })
    expect(spec).toMatchObject({
      ulimits: [
        { name: 'nofile', soft: 1024, hard: 1024 },
        { name: 'nproc', soft: 10, hard: 20 },
      ],
      sysctls: { 'net.core.somaxconn': '1024' },
      devices: [
        { source: '/dev/fuse', target: '/dev/fuse', permissions: 'rwm' },
        { source: '/dev/a', target: '/dev/b', permissions: 'r' },
      ],
      deviceCgroupRules: ['c 1:3 mr'],
      shmSizeBytes: 67108864,
      readOnlyRootfs: true,
    })
  })
  test('capabilities, privileges and security options; a seccomp profile is read', () => {
    const spec = specOf({
      privileged: true,
      cap_add: ['NET_ADMIN'],
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true', 'seccomp:/srv/profile.json', 'seccomp=unconfined', 'label:disable'],
    })
    expect(spec.security).toEqual({
      privileged: true,
      capAdd: ['NET_ADMIN'],
      capDrop: ['ALL'],
      options: [
        'no-new-privileges=true',
        'seccomp={"from":"/srv/profile.json"}',
        'seccomp=unconfined',
        'label=disable',
      ],
    })
  })
  test('GPUs by request, by deploy and by CDI name', () => {
    const spec = specOf({
      gpus: [{ count: -1 }],
      devices: [{ source: 'nvidia.com/gpu=0' }],
      deploy: {
        resources: { reservations: { devices: [{ driver: 'nvidia', device_ids: ['1'], capabilities: ['gpu'] }] } },
      },
    })
    expect(spec.devices).toEqual([])
    expect(spec.gpus).toEqual([
      { driver: 'cdi', deviceIds: ['nvidia.com/gpu=0'] },
      { count: -1, capabilities: [['gpu']] },
      { driver: 'nvidia', deviceIds: ['1'], capabilities: [['gpu']] },
    ])
  })
  test('logging drivers that are not there are refused by name', () => {
    expect(specOf({ logging: { driver: 'local', options: { 'max-size': '1m' } } }).log).toEqual({
      driver: 'local',
      options: { 'max-size': '1m' },
    })
    expect(() => specOf({ logging: { driver: 'fluentd' } })).toThrow('logging driver "fluentd" is not supported')
  })
})
