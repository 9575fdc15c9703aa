import { existsSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ContainerSpec } from '../../../src/engine/containers/spec.ts'
import type { Container, LogQuery } from '../../../src/engine/containers/types.ts'
import type { Engine } from '../../../src/engine/engine.ts'
import { eventually } from '../../support/eventually.ts'
import { createWorkspace, type Workspace } from '../../support/workspace.ts'

let workspace: Workspace
let engine: Engine

beforeAll(async () => {
  workspace = await createWorkspace(['busybox'])
  engine = await workspace.engine()
})
afterAll(async () => {
  await workspace?.[Symbol.asyncDispose]()
})

let count = 0
async function run(command: string, extra: Partial<ContainerSpec> = {}): Promise<Container> {
  const { id } = await engine.containers.create({
    name: `${workspace.id}-${count++}`,
    image: 'busybox:latest',
    command: ['sh', '-c', command],
    network: { kind: 'none' },
    stopTimeoutSeconds: 0,
    ...extra,
  })
  return await engine.containers.start(id)
}

async function read(id: string, query: LogQuery = {}): Promise<string[]> {
  const texts: string[] = []
  for await (const line of engine.containers.logs(id, query)) texts.push(line.text)
  return texts
}

const log = (options: Record<string, string>): Pick<ContainerSpec, 'log'> => ({ log: { driver: 'json-file', options } })

test('a follower gets every line once while the shim rotates under it', async () => {
  const container = await run('i=0; while [ $i -lt 4000 ]; do echo "line $i"; i=$((i+1)); done', {
    ...log({ 'max-size': '40k', 'max-file': '20' }),
  })
  const expected = Array.from({ length: 4000 }, (_, n) => `line ${n}\n`)
  expect(await read(container.id, { follow: true })).toEqual(expected)
  expect(existsSync(`${container.logPath}.1`)).toBe(true)
  expect(await read(container.id)).toEqual(expected)
  expect(await read(container.id, { tail: 1500 })).toEqual(expected.slice(-1500))
  await engine.containers.remove(container.id, { force: true })
})

test('compressed files are read like the others', async () => {
  const container = await run('i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done', {
    ...log({ 'max-size': '40k', 'max-file': '20', compress: 'true' }),
  })
  await engine.containers.wait(container.id)
  // The shim compresses beside its work, and rotates no further while it does: how many there are is up to the load.
  await eventually(() => existsSync(`${container.logPath}.1.gz`), 60_000)
  expect(await read(container.id)).toEqual(Array.from({ length: 3000 }, (_, n) => `line ${n}\n`))
  await engine.containers.remove(container.id, { force: true })
})

test('both streams, odd bytes and a line longer than a part come through', async () => {
  const container = await run(
    "echo out; echo err >&2; printf 'a\\tb\\001\\377\\n'; head -c 40000 /dev/zero | tr '\\0' x; echo; printf end",
  )
  await engine.containers.wait(container.id)
  const out: string[] = []
  for await (const line of engine.containers.logs(container.id, { stderr: false })) out.push(line.text)
  expect(out.slice(0, 2)).toEqual(['out\n', 'a\tb\u0001\ufffd\n'])
  const long = out.slice(2, -1)
  expect(long.join('')).toBe(`${'x'.repeat(40_000)}\n`)
  expect(long.length).toBeGreaterThan(2)
  expect(out.at(-1)).toBe('end')
  expect(await read(container.id, { stdout: false })).toEqual(['err\n'])
  await engine.containers.remove(container.id)
})

test('a follower ends when the container does, and sees its last line', async () => {
  const container = await run('echo first; sleep 0.5; echo last')
  expect(await read(container.id, { follow: true, tail: 0 }).then((texts) => texts.at(-1))).toBe('last\n')
  await engine.containers.remove(container.id, { force: true })
})

test('a container without a log says so', async () => {
  const container = await run('echo lost', { log: { driver: 'none', options: {} } })
  await expect(read(container.id)).rejects.toThrow('configured logging driver does not support reading')
  await engine.containers.remove(container.id, { force: true })
})

test('stats and top show a container as it runs', async () => {
  const container = await run('while :; do sleep 600; done', {
    resources: { memoryBytes: 64 * 1024 * 1024 },
    network: {
      kind: 'networks',
      endpoints: [{ network: (await engine.networks.create({ name: workspace.id })).name }],
    },
  })
  const stats = await engine.containers.stats(container.id)
  expect(stats.memoryLimitBytes).toBe(64 * 1024 * 1024)
  expect(stats.memoryUsageBytes).toBeGreaterThan(0)
  expect(stats.cpuTotalNs).toBeGreaterThan(0)
  expect(Object.keys(stats.networks)).toEqual(['eth0'])
  await eventually(async () => {
    const { titles, rows } = await engine.containers.top(container.id)
    expect(titles).toContain('CMD')
    expect(rows.map((row) => row.at(-1))).toEqual(['sh -c while :; do sleep 600; done', 'sleep 600'])
  })
  // Other columns are the host's ps; a host may have none.
  if (existsSync('/usr/bin/ps')) {
    const { rows } = await engine.containers.top(container.id, ['-e', '-o', 'pid,comm'])
    expect(rows.map(([, command]) => command)).toEqual(['sh', 'sleep'])
  }
  await engine.containers.remove(container.id, { force: true })
  await expect(engine.containers.top(container.id)).rejects.toMatchObject({ code: 'NOT_FOUND' })
})
