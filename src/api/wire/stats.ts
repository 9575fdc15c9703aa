import type { Container, StatsSample } from '../../engine/containers/types.ts'
import { NEVER } from './time.ts'

/** One sample of `GET /containers/{id}/stats`, with the one before, from which clients compute percentages. */
export function wireStats(container: Container, sample: StatsSample, previous: StatsSample | undefined): object {
  return {
    name: `/${container.name}`,
    id: container.id,
    read: sample.read,
    preread: previous?.read ?? NEVER,
    pids_stats: { current: sample.pids },
    num_procs: 0,
    storage_stats: {},
    blkio_stats: {
      io_service_bytes_recursive: [
        { major: 0, minor: 0, op: 'read', value: sample.blockReadBytes },
        { major: 0, minor: 0, op: 'write', value: sample.blockWriteBytes },
      ],
      io_serviced_recursive: null,
      io_queue_recursive: null,
      io_service_time_recursive: null,
      io_wait_time_recursive: null,
      io_merged_recursive: null,
      io_time_recursive: null,
      sectors_recursive: null,
    },
    cpu_stats: wireCpu(sample),
    precpu_stats: previous ? wireCpu(previous) : {},
    memory_stats: {
      usage: sample.memoryUsageBytes,
      stats: sample.memoryStats,
      limit: sample.memoryLimitBytes,
    },
    networks: Object.fromEntries(
      Object.entries(sample.networks).map(([name, one]) => [
        name,
        {
          rx_bytes: one.rxBytes,
          rx_packets: one.rxPackets,
          rx_errors: 0,
          rx_dropped: 0,
          tx_bytes: one.txBytes,
          tx_packets: one.txPackets,
          tx_errors: 0,
          tx_dropped: 0,
        },
      ]),
    ),
  }
}

function wireCpu(sample: StatsSample): object {
  return {
    cpu_usage: {
      total_usage: sample.cpuTotalNs,
      usage_in_kernelmode: sample.cpuSystemNs,
      usage_in_usermode: sample.cpuUserNs,
    },
    system_cpu_usage: sample.systemCpuNs,
    online_cpus: sample.onlineCpus,
    throttling_data: { periods: 0, throttled_periods: sample.throttledPeriods, throttled_time: 0 },
  }
}
