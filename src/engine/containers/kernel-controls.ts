import { existsSync, readFileSync } from 'node:fs'
import { TcomposeError } from '../../base/errors.ts'
import type { ResourceSpec } from './spec.ts'

const ROOT = '/sys/fs/cgroup'

/** Each limit with its name in a compose file, the cgroup v1 files of which one must be there, and the v2 controller. */
const CONTROLS: readonly {
  readonly field: keyof ResourceSpec
  readonly attribute: string
  readonly v1: readonly string[]
  readonly v2: string
}[] = [
  { field: 'memoryBytes', attribute: 'mem_limit', v1: ['memory/memory.limit_in_bytes'], v2: 'memory' },
  {
    field: 'memoryReservationBytes',
    attribute: 'mem_reservation',
    v1: ['memory/memory.soft_limit_in_bytes'],
    v2: 'memory',
  },
  { field: 'memorySwapBytes', attribute: 'memswap_limit', v1: ['memory/memory.memsw.limit_in_bytes'], v2: 'memory' },
  { field: 'cpuShares', attribute: 'cpu_shares', v1: ['cpu/cpu.shares'], v2: 'cpu' },
  { field: 'nanoCpus', attribute: 'cpus', v1: ['cpu/cpu.cfs_quota_us'], v2: 'cpu' },
  { field: 'cpuQuota', attribute: 'cpu_quota', v1: ['cpu/cpu.cfs_quota_us'], v2: 'cpu' },
  { field: 'cpuPeriod', attribute: 'cpu_period', v1: ['cpu/cpu.cfs_period_us'], v2: 'cpu' },
  { field: 'cpuRealtimeRuntime', attribute: 'cpu_rt_runtime', v1: ['cpu/cpu.rt_runtime_us'], v2: '' },
  { field: 'cpuRealtimePeriod', attribute: 'cpu_rt_period', v1: ['cpu/cpu.rt_period_us'], v2: '' },
  { field: 'cpusetCpus', attribute: 'cpuset', v1: ['cpuset/cpuset.cpus'], v2: 'cpuset' },
  { field: 'cpusetMems', attribute: 'cpuset_mems', v1: ['cpuset/cpuset.mems'], v2: 'cpuset' },
  { field: 'pidsLimit', attribute: 'pids_limit', v1: ['pids'], v2: 'pids' },
  {
    field: 'blkioWeight',
    attribute: 'blkio_config.weight',
    v1: ['blkio/blkio.weight', 'blkio/blkio.bfq.weight'],
    v2: 'io',
  },
  {
    field: 'blkioWeightDevice',
    attribute: 'blkio_config.weight_device',
    v1: ['blkio/blkio.weight_device', 'blkio/blkio.bfq.weight_device'],
    v2: 'io',
  },
  {
    field: 'blkioDeviceReadBps',
    attribute: 'blkio_config.device_read_bps',
    v1: ['blkio/blkio.throttle.read_bps_device'],
    v2: 'io',
  },
  {
    field: 'blkioDeviceWriteBps',
    attribute: 'blkio_config.device_write_bps',
    v1: ['blkio/blkio.throttle.write_bps_device'],
    v2: 'io',
  },
  {
    field: 'blkioDeviceReadIops',
    attribute: 'blkio_config.device_read_iops',
    v1: ['blkio/blkio.throttle.read_iops_device'],
    v2: 'io',
  },
  {
    field: 'blkioDeviceWriteIops',
    attribute: 'blkio_config.device_write_iops',
    v1: ['blkio/blkio.throttle.write_iops_device'],
    v2: 'io',
  },
]

/**
 * Refuses a limit that the kernel of this machine cannot keep, by the attribute's name.
 * @throws TcomposeError UNAVAILABLE
 */
export function checkControls(resources: ResourceSpec, cgroupVersion: 1 | 2): void {
  let controllers: ReadonlySet<string> | undefined
  for (const { field, attribute, v1, v2 } of CONTROLS) {
    if (!isSet(resources[field])) continue
    if (cgroupVersion === 1 && v1.some((file) => existsSync(`${ROOT}/${file}`))) continue
    controllers ??= readControllers()
    if (cgroupVersion === 2 && controllers.has(v2)) continue
    throw new TcomposeError('UNAVAILABLE', `${attribute} cannot be set: this kernel has no cgroup control for it`)
  }
  if (resources.cpusetCpus) checkCpus(resources.cpusetCpus, cgroupVersion)
}

/** Zero, an empty list and an unlimited -1 ask for nothing. */
function isSet(value: ResourceSpec[keyof ResourceSpec]): boolean {
  if (typeof value === 'number') return value > 0
  return Array.isArray(value) || typeof value === 'string' ? value.length > 0 : false
}

function readControllers(): ReadonlySet<string> {
  try {
    return new Set(readFileSync(`${ROOT}/cgroup.controllers`, 'utf8').trim().split(/\s+/))
  } catch {
    return new Set()
  }
}

function checkCpus(wanted: string, cgroupVersion: 1 | 2): void {
  const file = cgroupVersion === 1 ? `${ROOT}/cpuset/cpuset.cpus` : `${ROOT}/cpuset.cpus.effective`
  if (!existsSync(file)) return
  const available = readFileSync(file, 'utf8').trim()
  const have = new Set(expandCpus(available))
  if (expandCpus(wanted).every((cpu) => have.has(cpu))) return
  throw new TcomposeError('INVALID', `requested CPUs are not available - requested ${wanted}, available: ${available}`)
}

/** `0-2,5` → 0, 1, 2, 5. @throws TcomposeError INVALID */
export function expandCpus(list: string): readonly number[] {
  return list.split(',').flatMap((part) => {
    const match = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part.trim())
    if (!match) throw new TcomposeError('INVALID', `invalid cpuset ${JSON.stringify(list)}`)
    const [first, last] = [Number(match[1]), Number(match[2] ?? match[1])]
    return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index)
  })
}
