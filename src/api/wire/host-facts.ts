import { existsSync, readFileSync } from 'node:fs'

/** What `/info` tells of the kernel, looked at when asked. */
export function hostFacts(): Readonly<Record<string, unknown>> {
  const has = controllers(readText('/proc/cgroups'), readText('/sys/fs/cgroup/cgroup.controllers'))
  const isV1 = readText('/proc/self/mountinfo').includes(' - cgroup ')
  return {
    MemoryLimit: has.has('memory'),
    SwapLimit: isV1 ? existsSync('/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes') : has.has('memory') && hasSwap(),
    CpuCfsPeriod: has.has('cpu') && (!isV1 || existsSync('/sys/fs/cgroup/cpu/cpu.cfs_period_us')),
    CpuCfsQuota: has.has('cpu') && (!isV1 || existsSync('/sys/fs/cgroup/cpu/cpu.cfs_quota_us')),
    CPUShares: has.has('cpu'),
    CPUSet: has.has('cpuset'),
    PidsLimit: has.has('pids'),
    IPv4Forwarding: readText('/proc/sys/net/ipv4/ip_forward').trim() === '1',
    CgroupVersion: isV1 ? '1' : '2',
    SecurityOptions: existsSync('/proc/sys/kernel/seccomp') ? ['name=seccomp,profile=builtin'] : [],
  }
}

/** Enabled ones of `/proc/cgroups`, and those of the unified hierarchy. */
export function controllers(procCgroups: string, unified: string): ReadonlySet<string> {
  const enabled = procCgroups
    .split('\n')
    .map((line) => line.split('\t'))
    .filter(([name, , , on]) => name !== undefined && !name.startsWith('#') && on === '1')
    .map(([name]) => name as string)
  return new Set([...enabled, ...unified.split(/\s+/).filter(Boolean)])
}

function hasSwap(): boolean {
  return existsSync('/proc/swaps')
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
