import type { ResourceSpec } from '../../engine/containers/spec.ts'
import type { JsonObject } from '../exchange.ts'
import { list, text, whole } from './read.ts'

/** The limits of a HostConfig, or of an update; zero means not set, as on the wire. */
export function readResources(host: JsonObject): ResourceSpec {
  const spec: Record<string, unknown> = {}
  const numbers: Readonly<Record<string, keyof ResourceSpec>> = {
    Memory: 'memoryBytes',
    MemoryReservation: 'memoryReservationBytes',
    MemorySwap: 'memorySwapBytes',
    OomScoreAdj: 'oomScoreAdj',
    NanoCpus: 'nanoCpus',
    CpuShares: 'cpuShares',
    CpuPeriod: 'cpuPeriod',
    CpuQuota: 'cpuQuota',
    CpuRealtimePeriod: 'cpuRealtimePeriod',
    CpuRealtimeRuntime: 'cpuRealtimeRuntime',
    PidsLimit: 'pidsLimit',
    BlkioWeight: 'blkioWeight',
  }
  for (const [wire, field] of Object.entries(numbers)) {
    const value = whole(host, wire)
    if (value) spec[field] = value
  }
  // Zero is a value here; -1 is how old clients say that there is none.
  const swappiness = whole(host, 'MemorySwappiness')
  if (swappiness !== undefined && swappiness !== -1) spec.memorySwappiness = swappiness
  if (host.OomKillDisable === true) spec.oomKillDisable = true
  for (const [wire, field] of [
    ['CpusetCpus', 'cpusetCpus'],
    ['CpusetMems', 'cpusetMems'],
    ['CgroupParent', 'cgroupParent'],
  ] as const) {
    const value = text(host, wire)
    if (value) spec[field] = value
  }
  for (const name of ['BlkioDeviceReadBps', 'BlkioDeviceWriteBps', 'BlkioDeviceReadIOps', 'BlkioDeviceWriteIOps']) {
    const rates = list(host, name)?.map((one) => ({ path: text(one, 'Path') ?? '', rate: whole(one, 'Rate') ?? 0 }))
    if (rates?.length) spec[name[0]?.toLowerCase() + name.slice(1).replace('IOps', 'Iops')] = rates
  }
  const weights = list(host, 'BlkioWeightDevice')?.map((one) => ({
    path: text(one, 'Path') ?? '',
    weight: whole(one, 'Weight') ?? 0,
  }))
  if (weights?.length) spec.blkioWeightDevice = weights
  return spec as ResourceSpec
}
