import { existsSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Engine } from '../../../src/engine/engine.ts'
import { bundleDir, containerDir } from '../../../src/engine/state/paths.ts'
import { eventually } from '../../support/eventually.ts'
import { createWorkspace, type Workspace } from '../../support/workspace.ts'
import { runContainer, specOf, startAttached, startSleeper, untilTrapped } from './run-container.ts'

let workspace: Workspace
let engine: Engine
beforeAll(async () => {
  workspace = await createWorkspace()
  engine = await workspace.engine()
}, 120_000)
afterAll(async () => {
  await workspace?.[Symbol.asyncDispose]()
}, 120_000)

describe('a run', () => {
  test('prints to whoever attached before it, ends with its exit code and is recorded', async () => {
    const ran = await runContainer(engine, 'echo out; echo err >&2; exit 7')
    expect(ran).toMatchObject({ stdout: 'out\n', stderr: 'err\n', exitCode: 7 })
    const { state, logPath } = await engine.containers.get(ran.id)
    expect(state).toMatchObject({ status: 'exited', exitCode: 7, pid: 0, oomKilled: false, error: '' })
    expect(Date.parse(state.finishedAt)).toBeGreaterThanOrEqual(Date.parse(state.startedAt))
    const lines = readFileSync(logPath, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(new Set(lines.map((line) => `${line.stream} ${line.log}`))).toEqual(
      new Set(['stdout out\n', 'stderr err\n']),
    )
    expect(existsSync(bundleDir(workspace.paths, ran.id))).toBe(false)
  })

  test('can be had again, with what it wrote', async () => {
    const first = await runContainer(engine, 'cat /note 2>/dev/null; echo before >/note')
    expect(first.stdout).toBe('')
    expect((await startAttached(engine, first.id)).stdout).toBe('before\n')
  })

  test('of a command that is not there fails with 127 and keeps the container', async () => {
    const { id } = await engine.containers.create({ ...specOf(''), command: ['/no/such'] })
    await expect(engine.containers.start(id)).rejects.toMatchObject({ exitCode: 127 })
    const { state } = await engine.containers.get(id)
    expect(state).toMatchObject({ status: 'created', exitCode: 127 })
    expect(state.error).toContain('/no/such')
  })

  test('that was asked to remove itself leaves nothing', async () => {
    const ran = await runContainer(engine, 'exit 4', { autoRemove: true })
    expect(ran.exitCode).toBe(4)
    await eventually(async () => expect(await engine.containers.find(ran.id)).toBeUndefined())
    expect(existsSync(containerDir(workspace.paths, ran.id))).toBe(false)
  })

  test('by another process is seen as running, and its end as well', async () => {
    await using other = await workspace.engine()
    const { id } = await startSleeper(engine)
    expect((await other.containers.get(id)).state.status).toBe('running')
    await other.containers.stop(id)
    expect((await engine.containers.get(id)).state).toMatchObject({
      status: 'exited',
      exitCode: 0,
      stoppedByUser: true,
    })
  })
})

describe('stop', () => {
  test('gives the process the time to end by itself', async () => {
    const { id } = await engine.containers.create(
      specOf('trap "exit 9" TERM; while :; do sleep 0.1; done', { stopTimeoutSeconds: 30 }),
    )
    await untilTrapped(await engine.containers.start(id))
    await engine.containers.stop(id)
    expect((await engine.containers.get(id)).state).toMatchObject({ status: 'exited', exitCode: 9 })
  })

  test('kills after the grace period', async () => {
    const { id } = await engine.containers.create(specOf('trap "" TERM; while :; do sleep 0.1; done'))
    await engine.containers.start(id)
    await engine.containers.stop(id, { timeoutSeconds: 0 })
    expect((await engine.containers.get(id)).state).toMatchObject({ status: 'exited', exitCode: 137 })
  })

  test('of one that does not run is no error', async () => {
    const { id } = await engine.containers.create(specOf('true'))
    await engine.containers.stop(id)
    expect((await engine.containers.get(id)).state.status).toBe('created')
  })

  test('wakes a paused one', async () => {
    const { id } = await startSleeper(engine, { stopTimeoutSeconds: 30 })
    await engine.containers.pause(id)
    await engine.containers.stop(id)
    expect((await engine.containers.get(id)).state).toMatchObject({ status: 'exited', exitCode: 0 })
  })
})

test('pause stops every process until unpause', async () => {
  const { id } = await engine.containers.create(specOf('while :; do echo >>/ticks; sleep 0.01; done'))
  const { state } = await engine.containers.start(id)
  const ticks = () => readFileSync(`/proc/${state.pid}/root/ticks`, 'utf8').length
  await eventually(() => ticks() > 0)
  await engine.containers.pause(id)
  expect((await engine.containers.get(id)).state.status).toBe('paused')
  await expect(engine.containers.pause(id)).rejects.toThrow('is already paused')
  const frozen = ticks()
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(ticks()).toBe(frozen)
  await engine.containers.unpause(id)
  await eventually(() => ticks() > frozen)
  await engine.containers.remove(id, { force: true })
})

test('kill sends the signal that is named', async () => {
  const { id } = await engine.containers.create(specOf('trap "exit 5" USR1; echo up; while :; do sleep 0.1; done'))
  const streams = await engine.containers.attach(id)
  await engine.containers.start(id)
  await new Promise((resolve) => streams.stdout.once('data', resolve))
  await engine.containers.kill(id, 'SIGUSR1')
  expect(await streams.exit).toMatchObject({ exitCode: 5 })
  await expect(engine.containers.kill(id)).rejects.toThrow('is not running')
})

test('restart gives a new process', async () => {
  const before = await startSleeper(engine)
  await engine.containers.restart(before.id)
  const { state } = await engine.containers.get(before.id)
  expect(state.status).toBe('running')
  expect(state.pid).not.toBe(before.state.pid)
  await engine.containers.remove(before.id, { force: true })
})

test('restart of one that removes itself keeps it', async () => {
  const before = await startSleeper(engine, { autoRemove: true })
  await engine.containers.restart(before.id)
  expect((await engine.containers.get(before.id)).state.status).toBe('running')
  await engine.containers.stop(before.id)
  expect(await engine.containers.find(before.id)).toBeUndefined()
})

describe('wait', () => {
  test('settles at once for one that does not run, and with its end for one that does', async () => {
    const { id } = await engine.containers.create(specOf('sleep 0.2; exit 6'))
    expect(await engine.containers.wait(id)).toEqual({ exitCode: 0 })
    await engine.containers.start(id)
    expect(await engine.containers.wait(id)).toEqual({ exitCode: 6 })
  })

  test('for the next exit waits for a start first', async () => {
    const { id } = await engine.containers.create(specOf('exit 8'))
    const waited = engine.containers.wait(id, { condition: 'next-exit' })
    await engine.containers.start(id)
    expect(await waited).toEqual({ exitCode: 8 })
  })

  test('for its removal settles when it is gone', async () => {
    const { id } = await engine.containers.create(specOf('exit 2', { autoRemove: true }))
    const waited = engine.containers.wait(id, { condition: 'removed' })
    await engine.containers.start(id)
    expect((await waited).exitCode).toBe(2)
    expect(await engine.containers.find(id)).toBeUndefined()
  })

  test('can be interrupted', async () => {
    const { id } = await startSleeper(engine)
    const controller = new AbortController()
    const waited = engine.containers.wait(id, { signal: controller.signal })
    controller.abort()
    await expect(waited).rejects.toMatchObject({ code: 'CANCELED' })
    await engine.containers.remove(id, { force: true })
  })
})

describe('names', () => {
  test('belong to one container, and are free again after it', async () => {
    const name = `n${workspace.id}`
    const { id } = await engine.containers.create(specOf('true', { name }))
    await expect(engine.containers.create(specOf('true', { name }))).rejects.toThrow(
      `Conflict. The container name "/${name}" is already in use by container "${id}".`,
    )
    await engine.containers.remove(name)
    await engine.containers.remove((await engine.containers.create(specOf('true', { name }))).id)
  })

  test('can be changed, and ids shortened', async () => {
    const { id, name } = await engine.containers.create(specOf('true'))
    await engine.containers.rename(name, `${name}-new`)
    expect((await engine.containers.get(`${name}-new`)).id).toBe(id)
    expect((await engine.containers.get(id.slice(0, 12))).name).toBe(`${name}-new`)
    await expect(engine.containers.get(name)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: `No such container: ${name}`,
    })
  })
})

describe('remove', () => {
  test('refuses a running one unless forced', async () => {
    const { id, name } = await startSleeper(engine)
    await expect(engine.containers.remove(id)).rejects.toThrow(
      `cannot remove container "/${name}": container is running`,
    )
    await engine.containers.remove(id, { force: true })
    expect(await engine.containers.find(id)).toBeUndefined()
    expect(existsSync(containerDir(workspace.paths, id))).toBe(false)
    expect(existsSync(bundleDir(workspace.paths, id))).toBe(false)
  })
})

test('list finds by label, status and name', async () => {
  const labels = { [`l${workspace.id}`]: 'x' }
  const { id } = await engine.containers.create(specOf('true', { labels }))
  const ids = async (filter: Parameters<Engine['containers']['list']>[0]) =>
    (await engine.containers.list(filter)).map((container) => container.id)
  expect(await ids({ labels: [`l${workspace.id}=x`] })).toEqual([id])
  expect(await ids({ labels: [`l${workspace.id}=y`] })).toEqual([])
  expect(await ids({ labels: [`l${workspace.id}`], statuses: ['running'] })).toEqual([])
  expect(await ids({ labels: [`l${workspace.id}`], statuses: ['created', 'running'] })).toEqual([id])
})

test('events tell its life in the words of Docker', async () => {
  const since = engine.events.lastSequence()
  const { id } = await runContainer(engine, 'exit 3')
  await engine.containers.remove(id)
  const seen: string[] = []
  for await (const event of engine.events.watch({ sinceSequence: since, live: false })) {
    if (event.actorId === id) seen.push(event.action)
    if (event.action === 'die') expect(event.attributes.exitCode).toBe('3')
  }
  expect(seen).toEqual(['create', 'start', 'die', 'destroy'])
})
