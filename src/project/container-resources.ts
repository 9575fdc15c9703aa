import { parseSizeBytes } from '../base/size.ts'
import type { Service } from '../compose/types.ts'
import type { ContainerSpec, ResourceSpec } from '../engine/containers/spec.ts'

/** Limits of a service; `deploy.resources` wins over the older attributes, as in Compose. */
export function toResources(service: Service): ResourceSpec {
  const limits = service.deploy?.resources?.limits
  const reservations = service.deploy?.resources?.reservations
  const blkio = service.blkio_config
  const cpus = limits?.cpus ?? service.cpus
  const memory = limits?.memory ?? service.mem_limit
  const memoryReservation = reservations?.memory ?? service.mem_reservation
  const pids = limits?.pids ?? service.pids_limit
  return drop({
    memoryBytes: bytes(memory),
    memoryReservationBytes: bytes(memoryReservation),
    memorySwapBytes: bytes(service.memswap_limit),
    memorySwappiness: number(service.mem_swappiness),
    oomKillDisable: service.oom_kill_disable,
    oomScoreAdj: number(service.oom_score_adj),
    nanoCpus: cpus === undefined ? undefined : Math.round(Number(cpus) * 1e9),
    cpuShares: number(service.cpu_shares),
    cpuPeriod: microseconds(service.cpu_period),
    cpuQuota: microseconds(service.cpu_quota),
    cpuRealtimePeriod: microseconds(service.cpu_rt_period),
    cpuRealtimeRuntime: microseconds(service.cpu_rt_runtime),
    cpusetCpus: service.cpuset,
    pidsLimit: number(pids),
    blkioWeight: number(blkio?.weight),
    blkioWeightDevice: blkio?.weight_device?.map((one) => ({ path: one.path, weight: Number(one.weight) })),
    blkioDeviceReadBps: rates(blkio?.device_read_bps),
    blkioDeviceWriteBps: rates(blkio?.device_write_bps),
    blkioDeviceReadIops: rates(blkio?.device_read_iops),
    blkioDeviceWriteIops: rates(blkio?.device_write_iops),
    cgroupParent: service.cgroup_parent,
  })
}

export function toUlimits(ulimits: Service['ulimits']): NonNullable<ContainerSpec['ulimits']> {
  return Object.entries(ulimits ?? {}).map(([name, limit]) =>
    typeof limit === 'object' && limit !== null
      ? { name, soft: Number(limit.soft ?? limit.hard), hard: Number(limit.hard ?? limit.soft) }
      : { name, soft: Number(limit), hard: Number(limit) },
  )
}

type Loose<T> = { [K in keyof T]: T[K] | undefined }

/** Leaves out what is not set and what is 0: both mean the default. */
function drop(resources: Loose<ResourceSpec>): ResourceSpec {
  return Object.fromEntries(
    Object.entries(resources).filter(
      ([, value]) => value !== undefined && value !== 0 && value !== false && value !== '',
    ),
  ) as ResourceSpec
}

function bytes(value: string | number | undefined): number | undefined {
  if (value === undefined) return undefined
  if (typeof value === 'number') return value
  return /^-?\d+$/.test(value) ? Number(value) : parseSizeBytes(value)
}

function number(value: string | number | undefined): number | undefined {
  return value === undefined ? undefined : Number(value)
}

/** Plain numbers are microseconds already; durations (`400ms`) are read. */
function microseconds(value: string | number | undefined): number | undefined {
  if (value === undefined) return undefined
  if (typeof value === 'number' || /^-?\d+$/.test(value)) return Number(value)
  const match = /^([\d.]+)(us|µs|ms|s)$/.exec(value)
  const unit = { us: 1, µs: 1, ms: 1e3, s: 1e6 }[match?.[2] ?? 'us'] as number
  return Math.round(Number(match?.[1] ?? value) * unit)
}

function rates(
  list: readonly { readonly path: string; readonly rate: string | number }[] | undefined,
): readonly { readonly path: string; readonly rate: number }[] | undefined {
  return list?.map((one) => ({ path: one.path, rate: bytes(one.rate) ?? 0 }))
}
