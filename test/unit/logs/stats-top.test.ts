import { spawn } from 'node:child_process'
import { expect, test } from 'vitest'
import { parseNetDev, readStats, summarizeStats } from '../../../src/engine/containers/stats.ts'
import { selectPids } from '../../../src/engine/containers/top.ts'
import { listProcesses } from '../../../src/engine/containers/top-proc.ts'
import type { Container, StatsSample } from '../../../src/engine/containers/types.ts'

const containerOf = (pid: number): Pick<Container, 'state' | 'spec'> =>
  ({ state: { pid }, spec: { network: { kind: 'none' } } }) as unknown as Container

test('a process that runs is measured, a container that does not is all zero', async () => {
  const sample = await readStats(containerOf(process.pid))
  expect(sample.onlineCpus).toBeGreaterThan(0)
  expect(sample.systemCpuNs).toBeGreaterThan(0)
  expect(sample.memoryLimitBytes).toBeGreaterThan(0)
  expect(await readStats(containerOf(0))).toMatchObject({ memoryUsageBytes: 0, pids: 0, networks: {} })
})

test('percentages are computed as docker stats does', () => {
  const sample = (cpuTotalNs: number, systemCpuNs: number): StatsSample => ({
    read: '',
    cpuTotalNs,
    cpuUserNs: 0,
    cpuSystemNs: 0,
    systemCpuNs,
    onlineCpus: 4,
    throttledPeriods: 0,
    memoryUsageBytes: 300,
    memoryWorkingBytes: 250,
    memoryLimitBytes: 1000,
    memoryStats: {},
    pids: 3,
    blockReadBytes: 1,
    blockWriteBytes: 2,
    networks: {
      eth0: { rxBytes: 10, txBytes: 20, rxPackets: 1, txPackets: 1 },
      eth1: { rxBytes: 1, txBytes: 2, rxPackets: 1, txPackets: 1 },
    },
  })
  expect(summarizeStats(sample(1e9, 10e9), sample(1.5e9, 14e9))).toEqual({
    cpuPercent: 50,
    memoryBytes: 250,
    memoryLimitBytes: 1000,
    memoryPercent: 25,
    networkRxBytes: 11,
    networkTxBytes: 22,
    blockReadBytes: 1,
    blockWriteBytes: 2,
    pids: 3,
  })
  expect(summarizeStats(undefined, sample(1, 1)).cpuPercent).toBe(0)
})

test('interface counters are read, the loopback is not counted', () => {
  const text = [
    'Inter-|   Receive                                                |  Transmit',
    ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed',
    '    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0',
    '  eth0:    1234      12    0    0    0     0          0         0     4321      21    0    0    0     0       0          0',
  ].join('\n')
  expect(parseNetDev(text)).toEqual({ eth0: { rxBytes: 1234, rxPackets: 12, txBytes: 4321, txPackets: 21 } })
})

test('the lines of ps are chosen by pid, the command keeps its spaces', () => {
  const output =
    '    PID USER     COMMAND\n      1 root     /sbin/init\n     42 www-data nginx:  worker  process\n    421 root     x\n'
  expect(selectPids(output, new Set([42]))).toEqual({
    titles: ['PID', 'USER', 'COMMAND'],
    rows: [['42', 'www-data', 'nginx:  worker  process']],
  })
  expect(() => selectPids('USER COMMAND\n', new Set())).toThrow("Couldn't find PID field")
})

test('a process is listed with the columns of ps -ef', async () => {
  const child = spawn('sleep', ['600'])
  try {
    await new Promise((resolve) => child.once('spawn', resolve))
    const table = listProcesses([child.pid as number, 2 ** 22])
    expect(table.titles).toEqual(['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD'])
    expect(table.rows).toHaveLength(1)
    expect(table.rows[0]?.[1]).toBe(String(child.pid))
    expect(table.rows[0]?.[2]).toBe(String(process.pid))
    expect(table.rows[0]?.[4]).toMatch(/^\d\d:\d\d$/)
    expect(table.rows[0]?.[6]).toBe('00:00:00')
    expect(table.rows[0]?.[7]).toBe('sleep 600')
  } finally {
    child.kill('SIGKILL')
  }
})
