import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { processes } from '../support/leaks.ts'
import { createWorkspace, type Workspace } from '../support/workspace.ts'

const SERVICE = `    image: busybox
    command: ["sh", "-c", "trap 'exit 0' TERM; echo up; sleep 2147483647 & wait"]
`
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f']
const PROJECT = `services:
${NAMES.map((name, index) => `  ${name}:\n${SERVICE}${index > 2 ? `    depends_on: [${NAMES[index - 3]}]\n` : ''}    volumes: ["data:/data"]\n`).join('')}
volumes:
  data:
`

async function running(work: Workspace): Promise<number> {
  const { stdout } = await work.ok(['ps', '-q'])
  return stdout.split('\n').filter((line) => line !== '').length
}

/** Runs a verb and kills it after `delayMs`, unless it has ended by then. */
async function killed(work: Workspace, args: readonly string[], delayMs: number): Promise<void> {
  await work.tcompose(args, {
    onSpawn: (pid) => {
      setTimeout(() => {
        try {
          process.kill(pid, 'SIGKILL')
        } catch {
          // It was quicker.
        }
      }, delayMs)
    },
  })
}

/** Moments spread over the life of the command, the same in each run for the count, not for the clock. */
const moments = (count: number, spanMs: number): number[] =>
  Array.from({ length: count }, (_, index) => 15 + Math.round((index + Math.random()) * (spanMs / count)))

test('whenever `up` is killed, the next `up` has everything running', async () => {
  await using work = await createWorkspace()
  work.write({ 'compose.yaml': PROJECT })
  for (const delayMs of moments(10, 900)) {
    await killed(work, ['up', '-d'], delayMs)
    await work.ok(['up', '-d'])
    expect(await running(work), `killed after ${delayMs} ms`).toBe(NAMES.length)
    await work.ok(['down', '-v'])
  }
})

test('whenever `down` is killed, the next `down` leaves nothing', async () => {
  await using work = await createWorkspace()
  work.write({ 'compose.yaml': PROJECT })
  for (const delayMs of moments(10, 500)) {
    await work.ok(['up', '-d'])
    await killed(work, ['down', '-v'], delayMs)
    await work.ok(['down', '-v'])
    expect((await work.ok(['ps', '-aq'])).stdout, `killed after ${delayMs} ms`).toBe('')
    expect((await work.ok(['volume', 'ls', '-q'])).stdout).toBe('')
  }
})

test('a killed agent stops no container, and comes back with the next command that needs it', async () => {
  await using work = await createWorkspace()
  work.write({
    'compose.yaml': `${PROJECT.replace('    volumes: ["data:/data"]\n', '    volumes: ["data:/data"]\n    healthcheck: { test: "true", interval: 1s }\n')}`,
  })
  await work.ok(['up', '-d', '--wait'])
  const agent = (): number | undefined => {
    const line = processes(work.paths).find((process) => / agent\b/.test(process))
    return line === undefined ? undefined : Number(line.split(' ')[0])
  }
  const first = await eventually(() => agent() ?? false)
  process.kill(first as number, 'SIGKILL')
  expect(await running(work)).toBe(NAMES.length)
  await work.ok(['up', '-d', '--wait'])
  const second = await eventually(() => agent() ?? false)
  expect(second).not.toBe(first)
  const { stdout } = await work.ok(['exec', '-T', 'a', 'nslookup', 'b'])
  expect(stdout).toMatch(/Address/)
})

test('a container whose shim was killed is reported dead with the reason, cleaned up, and comes back with `up`', async () => {
  await using work = await createWorkspace()
  work.write({ 'compose.yaml': PROJECT })
  await work.ok(['up', '-d'])
  const id = (await work.ok(['ps', '-q', 'a'])).stdout.trim()
  const engine = await work.engine()
  const { shimPid, pid } = (await engine.containers.get(id)).state
  process.kill(shimPid, 'SIGKILL')
  await eventually(async () => (await work.ok(['ps', '-a', '--format', 'json', 'a'])).stdout.includes('"exited"'))
  const dead = await engine.containers.get(id)
  expect(dead.state).toMatchObject({ status: 'exited', exitCode: 137 })
  expect(dead.state.error).toMatch(/shim was killed/)
  await eventually(() => {
    try {
      return !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') S')
    } catch {
      return true
    }
  })
  expect(await running(work)).toBe(NAMES.length - 1)
  await work.ok(['up', '-d'])
  expect(await running(work)).toBe(NAMES.length)
})
