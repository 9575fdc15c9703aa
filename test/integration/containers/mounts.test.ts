import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Engine } from '../../../src/engine/engine.ts'
import { createWorkspace, type Workspace } from '../../support/workspace.ts'
import { runContainer, specOf, startAttached } from './run-container.ts'

let workspace: Workspace
let engine: Engine
beforeAll(async () => {
  workspace = await createWorkspace()
  engine = await workspace.engine()
}, 120_000)
afterAll(async () => {
  await workspace?.[Symbol.asyncDispose]()
}, 120_000)

describe('volumes', () => {
  test('a named one is filled from the image once, and kept', async () => {
    const name = `v${workspace.id}`
    const mounts = [{ kind: 'volume', source: name, target: '/etc' }] as const
    const first = await runContainer(engine, 'ls /etc/passwd && echo mine >/etc/mine', { mounts })
    expect(first.stdout).toBe('/etc/passwd\n')
    await engine.containers.remove(first.id, { volumes: true })
    const second = await runContainer(engine, 'cat /etc/mine', { mounts })
    expect(second.stdout).toBe('mine\n')
    await expect(engine.volumes.remove(name)).rejects.toMatchObject({ code: 'CONFLICT' })
    await engine.containers.remove(second.id)
    await engine.volumes.remove(name)
  })

  test('an anonymous one goes with its container only when asked', async () => {
    const make = async () => {
      const { id } = await engine.containers.create(specOf('true', { mounts: [{ kind: 'volume', target: '/data' }] }))
      const [mount] = (await engine.containers.get(id)).mounts
      return { id, volume: mount?.name ?? '' }
    }
    const kept = await make()
    await engine.containers.remove(kept.id)
    expect((await engine.volumes.find(kept.volume))?.anonymous).toBe(true)
    await engine.volumes.remove(kept.volume)
    const gone = await make()
    await engine.containers.remove(gone.id, { volumes: true })
    expect(await engine.volumes.find(gone.volume)).toBeUndefined()
  })

  test('a subpath is shown, and one that leads out by a link is not', async () => {
    const name = `s${workspace.id}`
    const volume = await engine.volumes.create({ name })
    mkdirSync(`${volume.mountpoint}/sub`)
    writeFileSync(`${volume.mountpoint}/sub/file`, 'below')
    symlinkSync('/etc', `${volume.mountpoint}/out`)
    const at = (subpath: string) => ({ mounts: [{ kind: 'volume', source: name, target: '/m', subpath }] as const })
    expect((await runContainer(engine, 'cat /m/file', at('sub'))).stdout).toBe('below')
    await expect(runContainer(engine, 'ls /m', at('out'))).rejects.toThrow('subpath "out" does not exist')
    await expect(runContainer(engine, 'ls /m', at('../x'))).rejects.toThrow('must be a relative path')
  })
})

describe('binds', () => {
  test('show the host, read-only when asked', async () => {
    const dir = workspace.write({ 'file.txt': 'host' })
    const ran = await runContainer(engine, 'cat /a/file.txt; echo new >/a/new; echo x >/b/new2', {
      mounts: [
        { kind: 'bind', source: dir, target: '/a' },
        { kind: 'bind', source: dir, target: '/b', readOnly: true },
      ],
    })
    expect(ran.stdout).toBe('host')
    expect(ran.exitCode).not.toBe(0)
    expect(readFileSync(`${dir}/new`, 'utf8')).toBe('new\n')
    expect(existsSync(`${dir}/new2`)).toBe(false)
  })

  test('make a missing source only when they may', async () => {
    const source = `${workspace.dir}/made/here`
    const mount = { kind: 'bind', source, target: '/a' } as const
    await expect(engine.containers.create(specOf('true', { mounts: [mount] }))).rejects.toThrow(
      `invalid mount config for type "bind": bind source path does not exist: ${source}`,
    )
    await runContainer(engine, 'true', { mounts: [{ ...mount, createHostPath: true }] })
    expect(statSync(source).isDirectory()).toBe(true)
  })
})

test('a tmpfs has the size and mode that were asked for', async () => {
  const ran = await runContainer(
    engine,
    'stat -c %a /t; df -k /t | tail -1 | awk "{print \\$2}"; mount | grep " /t "',
    {
      mounts: [{ kind: 'tmpfs', target: '/t', sizeBytes: 1024 * 1024, mode: 0o1770 }],
    },
  )
  const [mode, size, mount] = ran.stdout.split('\n')
  expect([mode, size]).toEqual(['1770', '1024'])
  expect(mount).toContain('noexec')
})

test('data becomes a file with its owner and mode', async () => {
  const ran = await runContainer(engine, 'stat -c "%a %u %g" /run/secret; cat /run/secret', {
    mounts: [{ kind: 'data', target: '/run/secret', data: 'hush', uid: 12, gid: 13, mode: 0o440 }],
  })
  expect(ran.stdout).toBe('440 12 13\nhush')
})

test('an image is shown read-only', async () => {
  const ran = await runContainer(engine, 'ls /i/passwd; touch /i/x', {
    mounts: [{ kind: 'image', source: 'busybox:latest', target: '/i', subpath: 'etc' }],
  })
  expect(ran.stdout).toBe('/i/passwd\n')
  expect(ran.exitCode).not.toBe(0)
})

test('hosts, hostname and resolv.conf are made for the container, and the host-gateway has an address', async () => {
  const ran = await runContainer(engine, 'hostname; cat /etc/hostname /etc/hosts; head -1 /etc/resolv.conf', {
    hostname: 'named',
    extraHosts: ['db:10.1.2.3'],
  })
  expect(ran.stdout).toContain('named\nnamed\n127.0.0.1\tlocalhost\n')
  expect(ran.stdout).toContain('10.1.2.3\tdb\n')
  expect(ran.stdout).toContain('# Generated by tcompose.')
})

test('a read-only root takes no writes but in its mounts', async () => {
  const ran = await runContainer(engine, 'touch /x || touch /t/x && echo yes', {
    readOnlyRootfs: true,
    mounts: [{ kind: 'tmpfs', target: '/t' }],
  })
  expect(ran.stdout).toBe('yes\n')
})

test('what was mounted and written outlives a stop', async () => {
  const { id } = await runContainer(engine, 'echo $$ >>/data/runs; wc -l </data/runs', {
    mounts: [{ kind: 'volume', target: '/data' }],
  })
  expect((await startAttached(engine, id)).stdout.trim()).toBe('2')
  await engine.containers.remove(id, { volumes: true })
})
