import type { ContainerSpec, MountSpec, PortSpec } from '../../engine/containers/spec.ts'
import type { Container } from '../../engine/containers/types.ts'

const MASKED = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
]
const READONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']

const orNull = <T>(values: readonly T[] | undefined): readonly T[] | null => (values?.length ? values : null)

/** `HostConfig` of inspect. */
export function wireHostConfig(container: Container): object {
  const { spec } = container
  const { resources = {}, security = {}, namespaces = {}, dns = {} } = spec
  const unconfined = security.privileged || security.options?.includes('systempaths=unconfined')
  return {
    Binds: orNull((spec.mounts ?? []).flatMap(bindOf)),
    ContainerIDFile: '',
    LogConfig: { Type: spec.log?.driver ?? 'json-file', Config: spec.log?.options ?? {} },
    NetworkMode: networkMode(spec),
    PortBindings: portBindings(spec.ports ?? []),
    RestartPolicy: {
      Name: spec.restart?.name ?? 'no',
      MaximumRetryCount: spec.restart?.maximumRetryCount ?? 0,
    },
    AutoRemove: spec.autoRemove ?? false,
    VolumeDriver: '',
    VolumesFrom: null,
    ConsoleSize: [0, 0],
    CapAdd: orNull(security.capAdd),
    CapDrop: orNull(security.capDrop),
    CgroupnsMode: namespaces.cgroup || 'host',
    Dns: dns.servers ?? [],
    DnsOptions: dns.options ?? [],
    DnsSearch: dns.search ?? [],
    ExtraHosts: orNull(spec.extraHosts),
    GroupAdd: orNull(spec.groupAdd),
    IpcMode: namespaces.ipc || 'private',
    Cgroup: '',
    Links: orNull(spec.links),
    OomScoreAdj: resources.oomScoreAdj ?? 0,
    PidMode: namespaces.pid ?? '',
    Privileged: security.privileged ?? false,
    PublishAllPorts: false,
    ReadonlyRootfs: spec.readOnlyRootfs ?? false,
    SecurityOpt: orNull(security.options),
    ...(spec.storageOpt ? { StorageOpt: spec.storageOpt } : {}),
    ...tmpfs(spec.mounts ?? []),
    UTSMode: namespaces.uts ?? '',
    UsernsMode: namespaces.user ?? '',
    ShmSize: spec.shmSizeBytes ?? 67_108_864,
    ...(spec.sysctls ? { Sysctls: spec.sysctls } : {}),
    Runtime: spec.runtime ?? 'runc',
    Isolation: '',
    CpuShares: resources.cpuShares ?? 0,
    Memory: resources.memoryBytes ?? 0,
    NanoCpus: resources.nanoCpus ?? 0,
    CgroupParent: resources.cgroupParent ?? '',
    BlkioWeight: resources.blkioWeight ?? 0,
    BlkioWeightDevice: (resources.blkioWeightDevice ?? []).map(({ path, weight }) => ({ Path: path, Weight: weight })),
    BlkioDeviceReadBps: rates(resources.blkioDeviceReadBps),
    BlkioDeviceWriteBps: rates(resources.blkioDeviceWriteBps),
    BlkioDeviceReadIOps: rates(resources.blkioDeviceReadIops),
    BlkioDeviceWriteIOps: rates(resources.blkioDeviceWriteIops),
    CpuPeriod: resources.cpuPeriod ?? 0,
    CpuQuota: resources.cpuQuota ?? 0,
    CpuRealtimePeriod: resources.cpuRealtimePeriod ?? 0,
    CpuRealtimeRuntime: resources.cpuRealtimeRuntime ?? 0,
    CpusetCpus: resources.cpusetCpus ?? '',
    CpusetMems: resources.cpusetMems ?? '',
    Devices: (spec.devices ?? []).map((device) => ({
      PathOnHost: device.source,
      PathInContainer: device.target,
      CgroupPermissions: device.permissions,
    })),
    DeviceCgroupRules: orNull(spec.deviceCgroupRules),
    DeviceRequests: orNull(
      (spec.gpus ?? []).map((one) => ({
        Driver: one.driver ?? '',
        Count: one.count ?? 0,
        DeviceIDs: one.deviceIds ?? null,
        Capabilities: one.capabilities ?? [],
        Options: one.options ?? {},
      })),
    ),
    MemoryReservation: resources.memoryReservationBytes ?? 0,
    MemorySwap: resources.memorySwapBytes ?? (resources.memoryBytes ? resources.memoryBytes * 2 : 0),
    MemorySwappiness: resources.memorySwappiness ?? null,
    OomKillDisable: resources.oomKillDisable ?? false,
    PidsLimit: resources.pidsLimit ?? null,
    Ulimits: (spec.ulimits ?? []).map(({ name, soft, hard }) => ({ Name: name, Hard: hard, Soft: soft })),
    CpuCount: 0,
    CpuPercent: 0,
    IOMaximumIOps: 0,
    IOMaximumBandwidth: 0,
    ...wireMounts(spec.mounts ?? []),
    MaskedPaths: unconfined ? null : (security.maskedPaths ?? MASKED),
    ReadonlyPaths: unconfined ? null : (security.readonlyPaths ?? READONLY),
    ...(spec.init === undefined ? {} : { Init: spec.init }),
  }
}

export function networkMode(spec: ContainerSpec): string {
  switch (spec.network.kind) {
    case 'none':
    case 'host':
      return spec.network.kind
    case 'container':
      return `container:${spec.network.container}`
    case 'networks':
      return spec.network.endpoints[0]?.network ?? 'default'
  }
}

/** Short-syntax mounts; the others are `Mounts`. */
function bindOf(mount: MountSpec): string[] {
  if (mount.kind === 'bind' && mount.createHostPath) {
    const modes = [mount.readOnly ? 'ro' : 'rw', ...(mount.propagation ? [mount.propagation] : [])]
    return [`${mount.source}:${mount.target}:${modes.join(',')}`]
  }
  return []
}

function tmpfs(mounts: readonly MountSpec[]): object {
  const entries = mounts.flatMap((mount) =>
    mount.kind === 'tmpfs' && mount.options !== undefined ? [[mount.target, mount.options.join(',')] as const] : [],
  )
  return entries.length > 0 ? { Tmpfs: Object.fromEntries(entries) } : {}
}

function wireMounts(mounts: readonly MountSpec[]): object {
  const Mounts = mounts.flatMap((mount): object[] => {
    const base = { Target: mount.target, ...('readOnly' in mount && mount.readOnly ? { ReadOnly: true } : {}) }
    switch (mount.kind) {
      case 'bind':
        if (mount.createHostPath) return []
        return [
          {
            Type: 'bind',
            Source: mount.source,
            ...base,
            ...(mount.propagation ? { BindOptions: { Propagation: mount.propagation } } : {}),
          },
        ]
      case 'volume':
        return [{ Type: 'volume', ...(mount.source ? { Source: mount.source } : {}), ...base, ...volumeOptions(mount) }]
      case 'tmpfs':
        if (mount.options !== undefined) return []
        return [{ Type: 'tmpfs', ...base, ...tmpfsOptions(mount) }]
      case 'image':
        return [{ Type: 'image', Source: mount.source, ...base }]
      default:
        return []
    }
  })
  return Mounts.length > 0 ? { Mounts } : {}
}

function volumeOptions(mount: Extract<MountSpec, { kind: 'volume' }>): object {
  const options = {
    ...(mount.nocopy ? { NoCopy: true } : {}),
    ...(mount.labels ? { Labels: mount.labels } : {}),
    ...(mount.subpath ? { Subpath: mount.subpath } : {}),
  }
  return Object.keys(options).length > 0 ? { VolumeOptions: options } : {}
}

function tmpfsOptions(mount: Extract<MountSpec, { kind: 'tmpfs' }>): object {
  if (mount.sizeBytes === undefined && mount.mode === undefined) return {}
  return { TmpfsOptions: { SizeBytes: mount.sizeBytes ?? 0, Mode: mount.mode ?? 0 } }
}

function portBindings(ports: readonly PortSpec[]): object {
  const map: Record<string, { HostIp: string; HostPort: string }[]> = {}
  for (const port of ports) {
    const key = `${port.containerPort}/${port.protocol}`
    const range = port.hostPortEnd === undefined ? '' : `-${port.hostPortEnd}`
    map[key] ??= []
    map[key].push({ HostIp: port.hostIp, HostPort: port.hostPort === 0 ? '' : `${port.hostPort}${range}` })
  }
  return map
}

function rates(values: readonly { readonly path: string; readonly rate: number }[] = []): object[] {
  return values.map(({ path, rate }) => ({ Path: path, Rate: rate }))
}
