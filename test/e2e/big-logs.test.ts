import { existsSync, readFileSync, statSync } from 'node:fs'
import { expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { createWorkspace } from '../support/workspace.ts'

const LINE = 'x'.repeat(199)

test('200 MB of log lines that nobody reads: no stall, rotated files, flat memory', async () => {
  await using work = await createWorkspace()
  work.write({
    'compose.yaml': `services:
  app:
    image: busybox
    command: ["sh", "-c", "yes ${LINE} | head -n 1000000; echo the last line; sleep 2147483647"]
    stop_grace_period: 0s
    logging:
      driver: json-file
      options: { max-size: 10m, max-file: "3" }
`,
  })
  await work.ok(['up', '-d'])
  const engine = await work.engine()
  const id = (await work.ok(['ps', '-q', 'app'])).stdout.trim()
  const container = await engine.containers.get(id)
  await eventually(
    async () => (await work.ok(['logs', '--no-log-prefix', '--tail', '1', 'app'])).stdout === 'the last line\n',
    120_000,
  )

  const sizes = ['', '.1', '.2', '.3']
    .map((suffix) => container.logPath + suffix)
    .map((path) => (existsSync(path) ? statSync(path).size : -1))
  expect(sizes[3]).toBe(-1)
  for (const size of sizes.slice(0, 3)) {
    expect(size).toBeGreaterThan(0)
    // A file is rotated before the write that would find it full: it may pass the limit by one entry.
    expect(size).toBeLessThan(10 * 1024 * 1024 + 64 * 1024)
  }
  const peakKib = Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${container.state.shimPid}/status`, 'utf8'))?.[1])
  expect(peakKib).toBeLessThan(10 * 1024)
  await work.ok(['down'])
})

test('an attached `up` prints 100,000 lines completely and in order, and ends with the container', async () => {
  await using work = await createWorkspace()
  work.write({ 'compose.yaml': 'services:\n  app:\n    image: busybox\n    command: ["seq", "1", "100000"]\n' })
  const { stdout } = await work.ok(['up', '--no-log-prefix'])
  const numbers = stdout.split('\n').filter((line) => /^\d+$/.test(line))
  expect(numbers).toHaveLength(100_000)
  expect(numbers.every((line, index) => Number(line) === index + 1)).toBe(true)
  await work.ok(['down'])
})
