import { cgroupsOf, type ProcessCgroups, readIfThere } from './stats-cgroup.ts'
import type { Container, StatsSample } from './types.ts'

/** USER_HZ, which Linux shows to every process as 100. */
const NS_PER_TICK = 10_000_000

const NOTHING: Omit<StatsSample, 'read' | 'systemCpuNs' | 'onlineCpus'> = {
  cpuTotalNs: 0,
  cpuUserNs: 0,
  cpuSystemNs: 0,
  throttledPeriods: 0,
  memoryUsageBytes: 0,
  memoryWorkingBytes: 0,
  memoryLimitBytes: 0,
  memoryStats: {},
  pids: 0,
  blockReadBytes: 0,
  blockWriteBytes: 0,
  networks: {},
}

/**
 * What a container uses now, from its cgroups and the counters of its interfaces. All zero when it does not run, as
 * Docker answers. A container in the host's network has no interfaces of its own.
 */
export async function readStats(container: Pick<Container, 'state' | 'spec'>): Promise<StatsSample> {
  const { pid } = container.state
  const cgroups = pid > 0 ? cgroupsOf(pid) : undefined
  const system = { read: new Date().toISOString(), ...readSystem() }
  if (!cgroups) return { ...NOTHING, ...system }
  return {
    ...system,
    ...readCpu(cgroups),
    ...readMemory(cgroups),
    ...readBlock(cgroups),
    pids: number(cgroups.directory('pids'), 'pids.current'),
    networks: container.spec.network.kind === 'host' ? {} : parseNetDev(readIfThere(`/proc/${pid}/net/dev`) ?? ''),
  }
}

/** The line `docker stats` prints. */
export interface StatsSummary {
  /** 100 is one processor. */
  readonly cpuPercent: number
  readonly memoryBytes: number
  readonly memoryLimitBytes: number
  readonly memoryPercent: number
  readonly networkRxBytes: number
  readonly networkTxBytes: number
  readonly blockReadBytes: number
  readonly blockWriteBytes: number
  readonly pids: number
}

/** The arithmetic of `docker stats`; without a previous sample processor use is 0. */
export function summarizeStats(previous: StatsSample | undefined, current: StatsSample): StatsSummary {
  const used = previous ? current.cpuTotalNs - previous.cpuTotalNs : 0
  const passed = previous ? current.systemCpuNs - previous.systemCpuNs : 0
  const networks = Object.values(current.networks)
  return {
    cpuPercent: used > 0 && passed > 0 ? (used / passed) * current.onlineCpus * 100 : 0,
    memoryBytes: current.memoryWorkingBytes,
    memoryLimitBytes: current.memoryLimitBytes,
    memoryPercent: current.memoryLimitBytes > 0 ? (current.memoryWorkingBytes / current.memoryLimitBytes) * 100 : 0,
    networkRxBytes: networks.reduce((sum, network) => sum + network.rxBytes, 0),
    networkTxBytes: networks.reduce((sum, network) => sum + network.txBytes, 0),
    blockReadBytes: current.blockReadBytes,
    blockWriteBytes: current.blockWriteBytes,
    pids: current.pids,
  }
}

function readSystem(): Pick<StatsSample, 'systemCpuNs' | 'onlineCpus'> {
  const lines = (readIfThere('/proc/stat') ?? '').split('\n')
  // user nice system idle iowait irq softirq, as Docker adds them up; guest time is part of user.
  const ticks = (lines[0] ?? '').trim().split(/\s+/).slice(1, 8)
  return {
    systemCpuNs: ticks.reduce((sum, value) => sum + Number(value), 0) * NS_PER_TICK,
    onlineCpus: lines.filter((line) => /^cpu\d/.test(line)).length,
  }
}

function readCpu(
  cgroups: ProcessCgroups,
): Pick<StatsSample, 'cpuTotalNs' | 'cpuUserNs' | 'cpuSystemNs' | 'throttledPeriods'> {
  const quota = parseFlat(readIfThere(`${cgroups.directory('cpu')}/cpu.stat`) ?? '')
  const throttledPeriods = quota.nr_throttled ?? 0
  if (cgroups.isUnified('cpuacct') && quota.usage_usec !== undefined) {
    return {
      cpuTotalNs: quota.usage_usec * 1000,
      cpuUserNs: (quota.user_usec ?? 0) * 1000,
      cpuSystemNs: (quota.system_usec ?? 0) * 1000,
      throttledPeriods,
    }
  }
  const directory = cgroups.directory('cpuacct')
  const split = parseFlat(readIfThere(`${directory}/cpuacct.stat`) ?? '')
  return {
    cpuTotalNs: number(directory, 'cpuacct.usage'),
    cpuUserNs: (split.user ?? 0) * NS_PER_TICK,
    cpuSystemNs: (split.system ?? 0) * NS_PER_TICK,
    throttledPeriods,
  }
}

function readMemory(
  cgroups: ProcessCgroups,
): Pick<StatsSample, 'memoryUsageBytes' | 'memoryWorkingBytes' | 'memoryLimitBytes' | 'memoryStats'> {
  const unified = cgroups.isUnified('memory')
  const directory = cgroups.directory('memory')
  const memoryStats = parseFlat(readIfThere(`${directory}/memory.stat`) ?? '')
  const memoryUsageBytes = number(directory, unified ? 'memory.current' : 'memory.usage_in_bytes')
  const inactive = (unified ? memoryStats.inactive_file : memoryStats.total_inactive_file) ?? 0
  const limit = (readIfThere(`${directory}/${unified ? 'memory.max' : 'memory.limit_in_bytes'}`) ?? 'max').trim()
  const total = totalMemoryBytes()
  return {
    memoryUsageBytes,
    memoryWorkingBytes: inactive < memoryUsageBytes ? memoryUsageBytes - inactive : memoryUsageBytes,
    // No limit is `max` or, on v1, a number beyond all memory.
    memoryLimitBytes: limit === 'max' ? total : Math.min(Number(limit), total),
    memoryStats,
  }
}

function totalMemoryBytes(): number {
  return Number(/^MemTotal:\s+(\d+) kB/m.exec(readIfThere('/proc/meminfo') ?? '')?.[1] ?? 0) * 1024
}

function readBlock(cgroups: ProcessCgroups): Pick<StatsSample, 'blockReadBytes' | 'blockWriteBytes'> {
  if (cgroups.isUnified('blkio')) {
    const text = readIfThere(`${cgroups.directory('io')}/io.stat`) ?? ''
    return { blockReadBytes: sum(text, /\brbytes=(\d+)/g), blockWriteBytes: sum(text, /\bwbytes=(\d+)/g) }
  }
  const directory = cgroups.directory('blkio')
  const names = ['blkio.throttle.io_service_bytes_recursive', 'blkio.io_service_bytes_recursive']
  const text = names.map((name) => readIfThere(`${directory}/${name}`)).find((one) => one && /\d:\d/.test(one)) ?? ''
  return { blockReadBytes: sum(text, /Read (\d+)/g), blockWriteBytes: sum(text, /Write (\d+)/g) }
}

/** Counters of `/proc/PID/net/dev` by interface, without the loopback. */
export function parseNetDev(text: string): StatsSample['networks'] {
  const networks: Record<string, StatsSample['networks'][string]> = {}
  for (const line of text.split('\n')) {
    const match = /^\s*(\S+):\s*(.*)$/.exec(line)
    if (!match || match[1] === 'lo') continue
    const values = (match[2] ?? '').trim().split(/\s+/).map(Number)
    networks[match[1] as string] = {
      rxBytes: values[0] ?? 0,
      rxPackets: values[1] ?? 0,
      txBytes: values[8] ?? 0,
      txPackets: values[9] ?? 0,
    }
  }
  return networks
}

/** `key value` lines. */
function parseFlat(text: string): Record<string, number> {
  const values: Record<string, number> = {}
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ')
    if (space > 0) values[line.slice(0, space)] = Number(line.slice(space + 1))
  }
  return values
}

function number(directory: string | undefined, name: string): number {
  return Number(readIfThere(`${directory}/${name}`)?.trim() || 0)
}

function sum(text: string, pattern: RegExp): number {
  return [...text.matchAll(pattern)].reduce((total, match) => total + Number(match[1]), 0)
}
