import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Container } from '../../../src/engine/containers/types.ts'
import type { Engine } from '../../../src/engine/engine.ts'
import { createWorkspace, type Workspace } from '../../support/workspace.ts'
import { collect, execIn, runContainer, specOf, startSleeper } from './run-container.ts'

let workspace: Workspace
let engine: Engine
beforeAll(async () => {
  workspace = await createWorkspace()
  engine = await workspace.engine()
}, 120_000)
afterAll(async () => {
  await workspace?.[Symbol.asyncDispose]()
}, 120_000)

const tarOf = (files: Readonly<Record<string, string>>): Readable => {
  const dir = `${workspace.dir}/tar-${Math.random().toString(36).slice(2)}`
  mkdirSync(dir)
  for (const [name, content] of Object.entries(files)) writeFileSync(`${dir}/${name}`, content)
  return Readable.from([execFileSync('tar', ['-C', dir, '--owner=5', '--group=6', '-cf', '-', ...Object.keys(files)])])
}

const untar = async (tar: Readable): Promise<string[]> => {
  const listing = execFileSync('tar', ['-tf', '-'], { input: await collect(tar), encoding: 'utf8' })
  return listing.trim().split('\n')
}

describe.each(['running', 'stopped'] as const)('in a %s container', (kind) => {
  let container: Container
  beforeAll(async () => {
    const mounts = [{ kind: 'volume', target: '/srv/vol' }] as const
    container =
      kind === 'running'
        ? await startSleeper(engine, { mounts })
        : await engine.containers.create(specOf('true', { mounts }))
  })
  afterAll(async () => {
    await engine.containers.remove(container.id, { force: true, volumes: true })
  })

  test('files go in and come out with their names', async () => {
    await engine.containers.writeArchive(container.id, '/tmp', tarOf({ a: 'one', b: 'two' }))
    expect(await untar(await engine.containers.readArchive(container.id, '/tmp/a'))).toEqual(['a'])
    expect((await engine.containers.statPath(container.id, '/tmp/b')).sizeBytes).toBe(3)
    expect((await untar(await engine.containers.readArchive(container.id, '/tmp'))).toSorted()).toEqual([
      'tmp/',
      'tmp/a',
      'tmp/b',
    ])
  })

  test('volumes are seen where the container has them', async () => {
    await engine.containers.writeArchive(container.id, '/srv/vol', tarOf({ inside: 'x' }))
    const volume = container.mounts[0]
    expect(readFileSync(`${volume?.source}/inside`, 'utf8')).toBe('x')
  })

  test('what is not there is said so in the words of Docker', async () => {
    await expect(engine.containers.statPath(container.id, '/none')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: `Could not find the file /none in container ${container.name}`,
    })
    await expect(engine.containers.writeArchive(container.id, '/etc/passwd', tarOf({ a: '1' }))).rejects.toThrow(
      'extraction point is not a directory',
    )
  })

  test('paths are removed, absent ones quietly', async () => {
    await engine.containers.writeArchive(container.id, '/tmp', tarOf({ gone: '1' }))
    await engine.containers.removePaths(container.id, ['/tmp/gone', '/tmp/never'])
    await expect(engine.containers.statPath(container.id, '/tmp/gone')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})

test('a link of the container never leads out of it', async () => {
  const { id } = await startSleeper(engine)
  const secret = `${workspace.dir}/secret`
  writeFileSync(secret, 'of the host')
  await execIn(engine, id, ['sh', '-c', `ln -s ${workspace.dir} /out; mkdir -p /real; ln -s /real /in`])
  await expect(engine.containers.statPath(id, '/out/secret')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await engine.containers.writeArchive(id, '/in', tarOf({ landed: '1' }))
  expect((await execIn(engine, id, ['cat', '/real/landed'])).stdout).toBe('1')
  await engine.containers.remove(id, { force: true })
})

test('a read-only root and mount take no copies', async () => {
  const { id } = await engine.containers.create(
    specOf('true', {
      readOnlyRootfs: true,
      mounts: [
        { kind: 'bind', source: workspace.dir, target: '/ro', readOnly: true },
        { kind: 'volume', target: '/rw' },
      ],
    }),
  )
  await expect(engine.containers.writeArchive(id, '/tmp', tarOf({ a: '1' }))).rejects.toThrow(
    'container rootfs is marked read-only',
  )
  await expect(engine.containers.writeArchive(id, '/ro', tarOf({ a: '1' }))).rejects.toThrow(
    'mounted volume is marked read-only',
  )
  await engine.containers.writeArchive(id, '/rw', tarOf({ a: '1' }))
  await engine.containers.remove(id, { volumes: true })
})

test('changes are the own ones of the container, not those the engine made', async () => {
  const { id } = await runContainer(engine, 'echo x >/new; rm /etc/group; mkdir /dir; touch /dir/in')
  const changes = (await engine.containers.changes(id)).map(({ kind, path }) => `${kind} ${path}`)
  expect(changes.toSorted()).toEqual(['A /dir', 'A /dir/in', 'A /new', 'C /etc', 'D /etc/group'])
})

test('export gives the whole root', async () => {
  const { id } = await runContainer(engine, 'echo x >/new')
  const names = await untar(await engine.containers.export(id))
  expect(names).toContain('new')
  expect(names.some((name) => name.replace(/^\.\//, '') === 'etc/passwd')).toBe(true)
})
