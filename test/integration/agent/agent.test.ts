import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AgentHold, ensureAgent, reviveAgent } from '../../../src/agent/ensure.ts'
import type { ContainerSpec, EndpointSpec } from '../../../src/engine/containers/spec.ts'
import type { Container } from '../../../src/engine/containers/types.ts'
import type { Engine } from '../../../src/engine/engine.ts'
import { processStart } from '../../../src/platform/process.ts'
import { eventually } from '../../support/eventually.ts'
import { processes } from '../../support/leaks.ts'
import { createWorkspace, type Workspace } from '../../support/workspace.ts'
import { untilTrapped } from '../containers/run-container.ts'

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
function spec(command: string, extra: Partial<ContainerSpec> = {}): ContainerSpec {
  return {
    name: `${workspace.id}-${count++}`,
    image: 'busybox:latest',
    command: ['sh', '-c', command],
    network: { kind: 'none' },
    stopTimeoutSeconds: 0,
    ...extra,
  }
}

async function startAgent(): Promise<AgentHold> {
  return await ensureAgent(workspace.paths, workspace.env)
}

async function run(given: ContainerSpec): Promise<Container> {
  const { id } = await engine.containers.create(given)
  return await engine.containers.start(id)
}

function agents(): string[] {
  return processes(workspace.paths).filter((line) => / agent$/.test(line))
}

async function output(id: string, command: readonly string[]): Promise<{ code: number; text: string }> {
  const streams = await engine.containers.exec(id, { command })
  const parts: Buffer[] = []
  for (const stream of [streams.stdout, streams.stderr]) stream.on('data', (chunk: Buffer) => parts.push(chunk))
  const { exitCode } = await streams.exit
  return { code: exitCode, text: Buffer.concat(parts).toString() }
}

describe('the process', () => {
  test('many who ask at once get one agent, which ends when nobody needs it', async () => {
    const script = `
      const { ensureAgent } = await import(${JSON.stringify(join(import.meta.dirname, '../../../src/agent/ensure.ts'))})
      const { enginePaths } = await import(${JSON.stringify(join(import.meta.dirname, '../../../src/engine/state/paths.ts'))})
      const hold = await ensureAgent(enginePaths(process.env), process.env)
      process.stdout.write(String(hold.pid))`
    const asked = await Promise.all(
      Array.from(
        { length: 4 },
        () =>
          new Promise<string>((resolve, reject) => {
            const child = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', script], {
              env: workspace.env,
              stdio: ['ignore', 'pipe', 'inherit'],
            })
            let text = ''
            child.stdout.on('data', (chunk: Buffer) => {
              text += chunk
            })
            child.on('error', reject)
            child.on('close', () => resolve(text))
          }),
      ),
    )
    const pids = new Set(asked)
    expect(pids.size).toBe(1)
    const pid = Number([...pids][0])
    expect(pid).toBeGreaterThan(0)
    await eventually(() => processStart(pid) === undefined, 60_000)
    expect(existsSync(workspace.paths.agentSocket)).toBe(false)
  })

  test('an agent of another build is replaced, the same build is kept', async () => {
    const first = await startAgent()
    const same = await startAgent()
    expect(same.pid).toBe(first.pid)
    same[Symbol.dispose]()
    const script = join(import.meta.dirname, 'other-build.ts')
    const other = await ensureAgent(workspace.paths, workspace.env, {
      build: 'another',
      command: [process.execPath, '--no-warnings', script, 'agent'],
    })
    expect(other.pid).not.toBe(first.pid)
    await eventually(() => processStart(first.pid) === undefined)
    const back = await startAgent()
    await eventually(() => processStart(other.pid) === undefined)
    expect(agents()).toHaveLength(1)
    for (const hold of [first, other, back]) hold[Symbol.dispose]()
  })

  test('after kill -9 containers run on and the next agent takes them up', async () => {
    using first = await startAgent()
    const container = await run(spec('trap "exit 7" TERM; while :; do sleep 0.1; done'))
    await untilTrapped(await engine.containers.get(container.id))
    process.kill(first.pid, 'SIGKILL')
    await eventually(() => processStart(first.pid) === undefined)
    expect((await engine.containers.get(container.id)).state.status).toBe('running')
    using second = await startAgent()
    expect(second.pid).not.toBe(first.pid)
    const from = engine.events.lastSequence()
    process.kill((await engine.containers.get(container.id)).state.pid, 'SIGTERM')
    await eventually(async () => (await actions(container.id, from)).includes('die'))
    expect((await engine.containers.get(container.id)).state.exitCode).toBe(7)
    await engine.containers.remove(container.id)
  })
})

function refuses(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath)
    socket.on('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.on('error', () => resolve(true))
  })
}

test('a command that finds containers without an agent starts one, and none without need', async () => {
  const first = await startAgent()
  const container = await run(spec('sleep 600'))
  await reviveAgent(workspace.paths, workspace.env)
  expect(agents()).toHaveLength(1)
  process.kill(first.pid, 'SIGKILL')
  // Its threads may hold the socket a moment longer than it lives.
  await eventually(() => refuses(workspace.paths.agentSocket))
  await Promise.all([reviveAgent(workspace.paths, workspace.env), reviveAgent(workspace.paths, workspace.env)])
  await eventually(() => expect(agents()).toHaveLength(1))
  using second = await startAgent()
  expect(second.pid).not.toBe(first.pid)
  await engine.containers.remove(container.id, { force: true })
})

async function actions(id: string, sinceSequence: number): Promise<string[]> {
  const seen: string[] = []
  for await (const event of engine.events.watch({ sinceSequence: sinceSequence + 1, live: false })) {
    if (event.actorId === id) seen.push(event.action)
  }
  return seen
}

describe('ends', () => {
  test('an end that nobody waits for is recorded, with its event', async () => {
    using _agent = await startAgent()
    const from = engine.events.lastSequence()
    const container = await run(spec('sleep 0.3; exit 3'))
    await eventually(async () => (await actions(container.id, from)).includes('die'))
    const state = (await engine.containers.get(container.id)).state
    expect(state).toMatchObject({ status: 'exited', exitCode: 3, restartCount: 0 })
    await engine.containers.remove(container.id)
  })

  test('a container that asked for it is removed when it ends', async () => {
    using _agent = await startAgent()
    const container = await run(spec('sleep 0.3', { autoRemove: true }))
    await eventually(async () => (await engine.containers.find(container.id)) === undefined)
  })

  test('a killed shim is noticed: its container is over, with the reason', async () => {
    using _agent = await startAgent()
    const container = await run(spec('sleep 600'))
    process.kill(container.state.shimPid, 'SIGKILL')
    const from = engine.events.lastSequence()
    await eventually(async () => (await actions(container.id, from)).includes('die'))
    expect((await engine.containers.get(container.id)).state).toMatchObject({ status: 'exited', exitCode: 137 })
    await eventually(() => processStart(container.state.pid) === undefined)
    await engine.containers.remove(container.id)
  })
})

describe('restart policies', () => {
  test('always starts it again and again, until a person stops it', async () => {
    using _agent = await startAgent()
    const container = await run(spec('exit 1', { restart: { name: 'always' } }))
    await eventually(async () => (await engine.containers.get(container.id)).state.restartCount >= 3, 60_000)
    await engine.containers.stop(container.id)
    const { state } = await engine.containers.get(container.id)
    expect(state).toMatchObject({ status: 'exited', stoppedByUser: true })
    // The pause would have been over long ago.
    const from = engine.events.lastSequence()
    const other = await run(spec('exit 1', { restart: { name: 'always' } }))
    await eventually(async () => (await engine.containers.get(other.id)).state.restartCount >= 3, 60_000)
    expect(await actions(container.id, from)).toEqual([])
    for (const { id } of [container, other]) await engine.containers.remove(id, { force: true })
  })

  test('on-failure gives up after its count, and leaves a success alone', async () => {
    using _agent = await startAgent()
    const failing = await run(spec('exit 5', { restart: { name: 'on-failure', maximumRetryCount: 2 } }))
    const fine = await run(spec('exit 0', { restart: { name: 'on-failure' } }))
    await eventually(async () => {
      const { state } = await engine.containers.get(failing.id)
      expect(state).toMatchObject({ status: 'exited', restartCount: 2, exitCode: 5 })
    }, 60_000)
    expect((await engine.containers.get(fine.id)).state).toMatchObject({ status: 'exited', restartCount: 0 })
    for (const { id } of [failing, fine]) await engine.containers.remove(id)
  })

  test('a restart that was due when the agent was killed is done by the next', async () => {
    const first = await startAgent()
    const container = await run(
      spec('test -e /ran && exec sleep 600; touch /ran; sleep 0.5; exit 1', { restart: { name: 'unless-stopped' } }),
    )
    process.kill(first.pid, 'SIGKILL')
    await eventually(async () => (await engine.containers.get(container.id)).state.status === 'exited')
    using _second = await startAgent()
    await eventually(async () => {
      expect((await engine.containers.get(container.id)).state).toMatchObject({ status: 'running', restartCount: 1 })
    })
    await engine.containers.remove(container.id, { force: true })
  })
})

describe('health', () => {
  const healthy = async (id: string, status: string): Promise<Container> =>
    await eventually(async () => {
      const container = await engine.containers.get(id)
      expect(container.state.health?.status).toBe(status)
      return container
    }, 60_000)

  test('a probe that succeeds makes it healthy long before the first interval is over', async () => {
    using _agent = await startAgent()
    const from = engine.events.lastSequence()
    const container = await run(
      spec('sleep 600', { healthcheck: { test: ['CMD-SHELL', 'echo fine; echo also >&2'], intervalNs: 600e9 } }),
    )
    const { state } = await healthy(container.id, 'healthy')
    expect(state.health?.failingStreak).toBe(0)
    expect(state.health?.log.at(-1)?.exitCode).toBe(0)
    expect(state.health?.log.at(-1)?.output.split('\n').filter(Boolean).toSorted()).toEqual(['also', 'fine'])
    await eventually(async () => (await actions(container.id, from)).includes('health_status: healthy'))
    await engine.containers.remove(container.id, { force: true })
  })

  test('failures in a row make it unhealthy, and it may recover', async () => {
    using _agent = await startAgent()
    const container = await run(
      spec('sleep 600', {
        healthcheck: { test: ['CMD', 'test', '-e', '/ok'], intervalNs: 300e6, startIntervalNs: 100e6, retries: 2 },
      }),
    )
    const { state } = await healthy(container.id, 'unhealthy')
    expect(state.health?.failingStreak).toBeGreaterThanOrEqual(2)
    expect(await output(container.id, ['touch', '/ok'])).toEqual({ code: 0, text: '' })
    await healthy(container.id, 'healthy')
    await engine.containers.remove(container.id, { force: true })
  })

  test('a probe that takes too long is killed and counts as a failure', async () => {
    using _agent = await startAgent()
    const container = await run(
      spec('sleep 600', {
        healthcheck: {
          test: ['CMD-SHELL', 'echo begun; exec sleep 4711'],
          intervalNs: 200e6,
          timeoutNs: 300e6,
          retries: 1,
        },
      }),
    )
    const { state } = await healthy(container.id, 'unhealthy')
    expect(state.health?.log.at(-1)).toMatchObject({ exitCode: -1 })
    expect(state.health?.log.at(-1)?.output).toMatch(/^Health check exceeded timeout \(300ms\)/)
    await engine.containers.pause(container.id)
    await engine.containers.unpause(container.id)
    await engine.containers.remove(container.id, { force: true })
  })
})

describe('names', () => {
  const on = (network: string, ...aliases: string[]): ContainerSpec['network'] => ({
    kind: 'networks',
    endpoints: [{ network, aliases } satisfies EndpointSpec],
  })
  const lookup = async (id: string, name: string): Promise<string[]> => {
    const { text } = await output(id, ['nslookup', name, '127.0.0.11'])
    const answers = text.slice(text.indexOf('\n\n'))
    return [...answers.matchAll(/^Address(?: \d+)?:\s+(\S+)/gm)].map((match) => match[1] as string).toSorted()
  }

  test('containers find each other by alias and name, replicas together, and only on their networks', async () => {
    using _agent = await startAgent()
    const front = await engine.networks.create({ name: `${workspace.id}-front` })
    const back = await engine.networks.create({ name: `${workspace.id}-back`, internal: true })
    const asker = await run(spec('sleep 600', { network: on(front.name, 'asker') }))
    const one = await run(spec('sleep 600', { network: on(front.name, 'web') }))
    const two = await run(spec('sleep 600', { network: on(front.name, 'web') }))
    const hidden = await run(spec('sleep 600', { network: on(back.name, 'secret') }))
    const addressOf = (container: Container): string => container.endpoints[0]?.ipv4 as string

    const both = [addressOf(one), addressOf(two)].toSorted()
    await eventually(async () => expect(await lookup(asker.id, 'web')).toEqual(both))
    expect(await lookup(asker.id, one.name)).toEqual([addressOf(one)])
    expect(await lookup(asker.id, one.id.slice(0, 12))).toEqual([addressOf(one)])
    expect(await lookup(asker.id, 'secret')).toEqual([])
    expect(await lookup(hidden.id, 'web')).toEqual([])

    await engine.containers.stop(two.id)
    await eventually(async () => expect(await lookup(asker.id, 'web')).toEqual([addressOf(one)]))
    for (const { id } of [asker, one, two, hidden]) await engine.containers.remove(id, { force: true })
    for (const { id } of [front, back]) await engine.networks.remove(id)
  })
})

test('an agent is small', async () => {
  using agent = await startAgent()
  const rollup = readFileSync(`/proc/${agent.pid}/smaps_rollup`, 'utf8')
  // Without what it shares with every other Node, which depends on who else runs. From source the type stripper adds 18 MB.
  const anonymous = Number(/^Pss_Anon:\s+(\d+)/m.exec(rollup)?.[1])
  expect(anonymous).toBeLessThan(60_000)
})
