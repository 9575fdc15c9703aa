import { statSync } from 'node:fs'
import { TcomposeError } from '../base/errors.ts'
import type { OciSpecInput, ResourceSpec } from './oci-spec-input.ts'
import type { OciDeviceRule, OciResources, OciThrottle } from './oci-spec-types.ts'

const MIN_MEMORY_BYTES = 6 * 1024 * 1024

/** Device rules of every container: nothing but null, zero, full, random, urandom, tty and console; runc adds ptys. */
const DEFAULT_RULES: readonly OciDeviceRule[] = [
  { allow: false, access: 'rwm' },
  { allow: true, type: 'c', major: 1, minor: 5, access: 'rwm' },
  { allow: true, type: 'c', major: 1, minor: 3, access: 'rwm' },
  { allow: true, type: 'c', major: 1, minor: 9, access: 'rwm' },
  { allow: true, type: 'c', major: 1, minor: 8, access: 'rwm' },
  { allow: true, type: 'c', major: 5, minor: 0, access: 'rwm' },
  { allow: true, type: 'c', major: 5, minor: 1, access: 'rwm' },
  { allow: false, type: 'c', major: 10, minor: 229, access: 'rwm' },
]

export function resourcesOf(input: OciSpecInput, privileged: boolean): OciResources {
  const devices = privileged
    ? [{ allow: true, access: 'rwm' }]
    : [
        ...DEFAULT_RULES,
        ...(input.devices?.rules ?? []),
        ...(input.deviceCgroupRules ?? []).map((rule) => parseDeviceRule(rule)),
      ]
  return { devices, ...limitsOf(input.resources ?? {}, input.host) }
}

/** The limits alone, as `update` writes them. @throws TcomposeError INVALID */
export function limitsOf(
  spec: ResourceSpec,
  host: { readonly swapLimit: boolean; readonly cgroupVersion: 1 | 2 },
): Omit<OciResources, 'devices'> {
  const pids = spec.pidsLimit !== undefined && spec.pidsLimit > 0 ? { pids: { limit: spec.pidsLimit } } : {}
  return { memory: memoryOf(spec, host), cpu: cpuOf(spec), ...pids, blockIO: blockIoOf(spec) }
}

function memoryOf(
  spec: ResourceSpec,
  host: { readonly swapLimit: boolean; readonly cgroupVersion: 1 | 2 },
): NonNullable<OciResources['memory']> {
  const { memoryBytes: limit = 0, memoryReservationBytes: reservation = 0, memorySwapBytes: swap = 0 } = spec
  if (limit > 0 && limit < MIN_MEMORY_BYTES) throw new TcomposeError('INVALID', 'minimum memory limit allowed is 6MB')
  if (limit > 0 && reservation > limit) {
    throw new TcomposeError('INVALID', 'minimum memory limit can not be less than memory reservation limit, see usage')
  }
  if (swap > 0 && limit === 0) {
    throw new TcomposeError('INVALID', 'you should always set the memory limit when using the memory-swap limit')
  }
  if (swap > 0 && swap < limit) {
    throw new TcomposeError('INVALID', 'minimum memoryswap limit should be larger than memory limit, see usage')
  }
  const { memorySwappiness: swappiness } = spec
  if (swappiness !== undefined && (swappiness < -1 || swappiness > 100)) {
    throw new TcomposeError('INVALID', `invalid value: ${swappiness}, valid memory swappiness range is 0-100`)
  }
  // Twice the limit unless told otherwise, as Docker has it; a kernel without swap accounting takes no such number.
  const swapLimit = !host.swapLimit ? 0 : swap !== 0 ? swap : limit > 0 ? limit * 2 : 0
  return {
    ...(limit > 0 ? { limit } : {}),
    ...(reservation > 0 ? { reservation } : {}),
    ...(swapLimit !== 0 ? { swap: swapLimit } : {}),
    ...(swappiness !== undefined && swappiness >= 0 && host.cgroupVersion === 1 ? { swappiness } : {}),
    disableOOMKiller: spec.oomKillDisable === true && host.cgroupVersion === 1,
  }
}

function cpuOf(spec: ResourceSpec): NonNullable<OciResources['cpu']> {
  const { nanoCpus = 0, cpuPeriod = 0, cpuQuota = 0 } = spec
  if (nanoCpus < 0)
    throw new TcomposeError('INVALID', `range of CPUs is from 0.01 to all of the machine's: ${nanoCpus / 1e9}`)
  if (nanoCpus > 0 && (cpuPeriod > 0 || cpuQuota > 0)) {
    throw new TcomposeError(
      'INVALID',
      `conflicting options: cpus and cpu_${cpuPeriod > 0 ? 'period' : 'quota'} cannot both be set`,
    )
  }
  if (cpuPeriod > 0 && (cpuPeriod < 1000 || cpuPeriod > 1000000)) {
    throw new TcomposeError(
      'INVALID',
      'cpu cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)',
    )
  }
  if (cpuQuota > 0 && cpuQuota < 1000)
    throw new TcomposeError('INVALID', 'cpu cfs quota can not be less than 1ms (i.e. 1000)')
  const period = nanoCpus > 0 ? 100_000 : cpuPeriod
  const quota = nanoCpus > 0 ? Math.floor((nanoCpus * 100_000) / 1e9) : cpuQuota
  return {
    shares: spec.cpuShares ?? 0,
    ...(period !== 0 ? { period } : {}),
    ...(quota !== 0 ? { quota } : {}),
    ...(spec.cpuRealtimePeriod ? { realtimePeriod: spec.cpuRealtimePeriod } : {}),
    ...(spec.cpuRealtimeRuntime ? { realtimeRuntime: spec.cpuRealtimeRuntime } : {}),
    ...(spec.cpusetCpus ? { cpus: spec.cpusetCpus } : {}),
    ...(spec.cpusetMems ? { mems: spec.cpusetMems } : {}),
  }
}

function blockIoOf(spec: ResourceSpec): NonNullable<OciResources['blockIO']> {
  const { blkioWeight: weight = 0 } = spec
  if (weight !== 0 && (weight < 10 || weight > 1000)) {
    throw new TcomposeError('INVALID', 'range of blkio weight is from 10 to 1000')
  }
  const weightDevice = (spec.blkioWeightDevice ?? []).map((entry) => ({
    ...numbersOf(entry.path),
    weight: entry.weight,
  }))
  const throttle = (entries: ResourceSpec['blkioDeviceReadBps']): readonly OciThrottle[] =>
    (entries ?? []).map((entry) => ({ ...numbersOf(entry.path), rate: entry.rate }))
  const lists = {
    throttleReadBpsDevice: throttle(spec.blkioDeviceReadBps),
    throttleWriteBpsDevice: throttle(spec.blkioDeviceWriteBps),
    throttleReadIOPSDevice: throttle(spec.blkioDeviceReadIops),
    throttleWriteIOPSDevice: throttle(spec.blkioDeviceWriteIops),
  }
  return {
    weight,
    ...(weightDevice.length > 0 ? { weightDevice } : {}),
    ...Object.fromEntries(Object.entries(lists).filter(([, list]) => list.length > 0)),
  }
}

function numbersOf(path: string): { major: number; minor: number } {
  try {
    return deviceNumbers(statSync(path).rdev)
  } catch (cause) {
    throw new TcomposeError('INVALID', `blkio device ${path} cannot be read`, { cause })
  }
}

/** Splits the kernel's `dev_t` as glibc does. */
export function deviceNumbers(rdev: number): { major: number; minor: number } {
  const dev = BigInt(rdev)
  return {
    major: Number(((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn)),
    minor: Number((dev & 0xffn) | ((dev >> 12n) & ~0xffn)),
  }
}

/** Reads `c 1:3 rwm`, `a *:* m`. @throws TcomposeError INVALID */
export function parseDeviceRule(text: string): OciDeviceRule {
  const match = /^([acb]) (\d+|\*):(\d+|\*) ([rwm]{1,3})$/.exec(text)
  if (!match) throw new TcomposeError('INVALID', `invalid device cgroup rule format: '${text}'`)
  const [, type, major, minor, access] = match as unknown as [string, 'a' | 'c' | 'b', string, string, string]
  return {
    allow: true,
    type,
    ...(major === '*' ? {} : { major: Number(major) }),
    ...(minor === '*' ? {} : { minor: Number(minor) }),
    access,
  }
}
