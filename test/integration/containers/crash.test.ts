import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Engine } from '../../../src/engine/engine.ts'
import { bundleDir } from '../../../src/engine/state/paths.ts'
import { isAlive, processStart } from '../../../src/platform/process.ts'
import { eventually } from '../../support/eventually.ts'
import { findLeaks } from '../../support/leaks.ts'
import { createWorkspace, type Workspace } from '../../support/workspace.ts'
import { specOf, startSleeper } from './run-container.ts'

let workspace: Workspace
let engine: Engine
beforeAll(async () => {
  workspace = await createWorkspace()
  engine = await workspace.engine()
}, 120_000)
afterAll(async () => {
  await workspace?.[Symbol.asyncDispose]()
}, 120_000)

/** Runs the child and kills it after `killAfterMs`; gives how long it ran. */
function life(name: string, network: string, killAfterMs: number | undefined): Promise<{ ms: number; done: boolean }> {
  return new Promise((resolve, reject) => {
    const began = performance.now()
    const child = spawn(process.execPath, [join(import.meta.dirname, 'crash-child.ts'), name, network], {
      env: workspace.env,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let done = false
    child.stdout.on('data', () => {
      done = true
    })
    const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs)
    child.on('error', reject)
    child.on('close', () => {
      clearTimeout(timer)
      resolve({ ms: performance.now() - began, done })
    })
  })
}

test('a process killed at any moment of a life leaves what the next reconcile repairs', async () => {
  const network = await engine.networks.create({ name: `crash-${workspace.id}` })
  const whole = await life(`whole-${workspace.id}`, network.name, undefined)
  expect(whole.done).toBe(true)
  const rounds = 10
  for (let round = 0; round < rounds; round++) {
    const names = [0, 1].map((number) => `crash-${workspace.id}-${round}-${number}`)
    await Promise.all(
      names.map((name, number) => {
        const share = (2 * round + number + Math.random()) / (2 * rounds)
        return life(name, number === 0 ? network.name : 'none', whole.ms * share)
      }),
    )
    await engine.reconcile()
    for (const container of await engine.containers.list()) {
      const { state } = container
      expect(['created', 'running', 'exited']).toContain(state.status)
      // Nobody who runs was lost, and nobody who does not is still there.
      if (state.status === 'running') expect(isAlive({ pid: state.pid, start: state.pidStart })).toBe(true)
      await engine.containers.remove(container.id, { force: true, volumes: true })
    }
    // The names are free, whatever happened to their owners.
    for (const name of names) {
      const again = await engine.containers.create(specOf('true', { name }))
      await engine.containers.remove(again.id)
    }
    expect(readdirSync(workspace.paths.containers)).toEqual([])
    expect(readdirSync(workspace.paths.bundles)).toEqual([])
    expect(await engine.networks.containersOf(network.id)).toEqual([])
    expect(await engine.volumes.list()).toEqual([])
    await eventually(() => {
      const leaks = findLeaks(workspace.paths, []).filter((leak) => !leak.startsWith('nft table'))
      expect(leaks).toEqual([])
      expect(readdirSync(`/sys/class/net/${network.bridge}/brif`)).toEqual([])
    }, 30_000)
  }
}, 400_000)

describe('a killed shim', () => {
  test('is reported with its reason, and its container ended', async () => {
    const { id, state } = await startSleeper(engine)
    process.kill(state.shimPid, 'SIGKILL')
    await eventually(() => processStart(state.shimPid) === undefined)
    expect((await engine.containers.get(id)).state).toMatchObject({
      status: 'exited',
      exitCode: 137,
      error: 'its shim was killed',
    })
    await engine.containers.reconcile()
    await eventually(() => !isAlive({ pid: state.pid, start: state.pidStart }))
    expect(existsSync(bundleDir(workspace.paths, id))).toBe(false)
    const { state: again } = await engine.containers.start(id)
    expect(again.status).toBe('running')
    await engine.containers.remove(id, { force: true })
  })

  test('lets who waits know', async () => {
    const { id, state } = await startSleeper(engine)
    const waited = engine.containers.wait(id)
    process.kill(state.shimPid, 'SIGKILL')
    expect(await waited).toEqual({ exitCode: 137, error: 'its shim was killed' })
    await engine.containers.remove(id)
  })
})

test('an end that nobody saw is recorded by whoever comes next, once', async () => {
  const { id, state } = await startSleeper(engine)
  const since = engine.events.lastSequence()
  process.kill(state.pid, 'SIGKILL')
  await eventually(async () => expect((await engine.containers.get(id)).state.status).toBe('exited'))
  await Promise.all([engine.reconcile(), engine.containers.settle(id), engine.containers.wait(id)])
  const deaths: string[] = []
  for await (const event of engine.events.watch({ sinceSequence: since, live: false })) {
    if (event.action === 'die' && event.actorId === id) deaths.push(event.attributes.exitCode ?? '')
  }
  expect(deaths).toEqual(['137'])
  await engine.containers.remove(id)
})
