import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { randomId } from '../../../src/base/id.ts'
import type { Events } from '../../../src/engine/events/types.ts'
import { type Database, openDatabase } from '../../../src/engine/state/database.ts'
import { type EnginePaths, enginePaths } from '../../../src/engine/state/paths.ts'
import type { Volumes } from '../../../src/engine/volumes/types.ts'
import { createVolumes } from '../../../src/engine/volumes/volumes.ts'
import { readMounts } from '../../../src/platform/mounts.ts'

let base: string
let paths: EnginePaths
let db: Database
let volumes: Volumes
let emitted: string[]

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'tcv-'))
  paths = enginePaths({ TCOMPOSE_ROOT: join(base, 'root'), TCOMPOSE_RUN: join(base, 'run') })
  for (const path of [paths.volumes, paths.run]) mkdirSync(path, { recursive: true, mode: 0o700 })
  db = openDatabase(paths.database)
  emitted = []
  const events: Events = {
    emit: (event) => void emitted.push(`${event.type} ${event.action} ${event.actorId}`),
    watch: () => {
      throw new Error('not used')
    },
    lastSequence: () => 0,
  }
  volumes = createVolumes({ db, paths, events })
})
afterEach(async () => {
  db.run('DELETE FROM volume_users')
  await volumes.reconcile()
  db[Symbol.dispose]()
  expect(readMounts().filter((mount) => mount.mountPoint.startsWith(base))).toEqual([])
  rmSync(base, { recursive: true, force: true })
})

/** A container row, without which a user of a volume is a leftover. */
function container(): string {
  const id = randomId()
  db.run("INSERT INTO containers VALUES (?, ?, '', NULL, '{}', '{}')", id, id)
  return id
}

const mountsIn = (path: string) => readMounts().filter((mount) => mount.mountPoint === path)

describe('volumes', () => {
  test('are made once, found, listed and removed with their content', async () => {
    const made = await volumes.create({ name: 'data', labels: { a: '1' } })
    expect(await volumes.create({ name: 'data' })).toEqual(made)
    writeFileSync(`${made.mountpoint}/file`, 'x')
    expect((await volumes.list({ labels: ['a=1'] })).map((one) => one.name)).toEqual(['data'])
    expect(await volumes.list({ labels: ['a=2'] })).toEqual([])
    await volumes.remove('data')
    expect(existsSync(`${paths.volumes}/data`)).toBe(false)
    expect(await volumes.find('data')).toBeUndefined()
    expect(emitted).toEqual(['volume create data', 'volume destroy data'])
    await expect(volumes.remove('data')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await volumes.remove('data', { force: true })
  })

  test('without a name get one, and are anonymous', async () => {
    const { name, anonymous } = await volumes.create({})
    expect(name).toMatch(/^[0-9a-f]{64}$/)
    expect(anonymous).toBe(true)
  })

  test('that are in use are not removed, and those nobody uses are dangling', async () => {
    const user = container()
    await volumes.create({ name: 'used' })
    await volumes.create({ name: 'idle' })
    await volumes.use('used', user)
    await expect(volumes.remove('used')).rejects.toThrow(`volume is in use - [${user}]`)
    expect((await volumes.list({ dangling: true })).map((one) => one.name)).toEqual(['idle'])
    await volumes.release('used', user)
    await volumes.remove('used')
  })

  test('with names that are no file names, drivers or options there are none of, are refused', async () => {
    await expect(volumes.create({ name: '../up' })).rejects.toMatchObject({ code: 'INVALID' })
    await expect(volumes.create({ name: 'v', driver: 'flocker' })).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    await expect(volumes.create({ name: 'v', driverOpts: { x: '1' } })).rejects.toThrow('invalid option: "x"')
    expect(await volumes.list()).toEqual([])
  })

  test('are pruned when anonymous and unused; named ones only when all are asked for', async () => {
    const anonymous = await volumes.create({})
    const used = await volumes.create({})
    await volumes.use(used.name, container())
    await volumes.create({ name: 'named', labels: { keep: '' } })
    writeFileSync(`${anonymous.mountpoint}/file`, Buffer.alloc(100_000))
    const first = await volumes.prune()
    expect(first.removed).toEqual([anonymous.name])
    expect(first.bytes).toBeGreaterThanOrEqual(100_000)
    expect((await volumes.prune({ all: true, labels: ['other'] })).removed).toEqual([])
    expect((await volumes.prune({ all: true })).removed).toEqual(['named'])
    expect((await volumes.list()).map((one) => one.name)).toEqual([used.name])
  })
})

describe('an empty volume', () => {
  const lower = () => join(base, 'image')
  const populate = (path: string) => volumes.populate('data', { lowers: [lower()] }, path)
  beforeEach(async () => {
    mkdirSync(`${lower()}/var/lib/app/sub`, { recursive: true })
    writeFileSync(`${lower()}/var/lib/app/sub/file`, 'from the image')
    chownSync(`${lower()}/var/lib/app/sub/file`, 1234, 4321)
    chmodSync(`${lower()}/var/lib/app/sub/file`, 0o640)
    chownSync(`${lower()}/var/lib/app`, 1000, 1000)
    chmodSync(`${lower()}/var/lib/app`, 0o2770)
    await volumes.create({ name: 'data' })
  })

  test('gets what the image has at that place, with owners and modes, once', async () => {
    const { mountpoint } = await volumes.get('data')
    await populate('/var/lib/app')
    expect(readFileSync(`${mountpoint}/sub/file`, 'utf8')).toBe('from the image')
    expect(statSync(`${mountpoint}/sub/file`)).toMatchObject({ uid: 1234, gid: 4321 })
    expect(statSync(`${mountpoint}/sub/file`).mode & 0o7777).toBe(0o640)
    expect(statSync(mountpoint)).toMatchObject({ uid: 1000, gid: 1000 })
    expect(statSync(mountpoint).mode & 0o7777).toBe(0o2770)
    writeFileSync(`${mountpoint}/sub/file`, 'changed')
    await populate('/var/lib/app')
    expect(readFileSync(`${mountpoint}/sub/file`, 'utf8')).toBe('changed')
  })

  test('stays empty where the image has nothing, and follows links inside the image alone', async () => {
    const { mountpoint } = await volumes.get('data')
    await populate('/nothing')
    mkdirSync(join(base, 'outside'))
    writeFileSync(join(base, 'outside/secret'), 'host')
    symlinkSync(join(base, 'outside'), `${lower()}/link`)
    await populate('/link')
    expect(existsSync(`${mountpoint}/secret`)).toBe(false)
    symlinkSync('/var/lib/app', `${lower()}/inner`)
    await populate('/inner')
    expect(existsSync(`${mountpoint}/sub/file`)).toBe(true)
  })
})

describe('the options of the local driver', () => {
  test('show a directory of the host', async () => {
    mkdirSync(join(base, 'there'))
    await volumes.create({ name: 'bound', driverOpts: { type: 'none', o: 'bind', device: join(base, 'there') } })
    expect(await volumes.use('bound', container())).toBe(join(base, 'there'))
    await volumes.create({ name: 'lost', driverOpts: { type: 'none', o: 'bind', device: join(base, 'nowhere') } })
    await expect(volumes.use('lost', container())).rejects.toThrow('no such file or directory')
  })

  test('mount a file system while somebody uses it, one for all users', async () => {
    const [one, other] = [container(), container()]
    await volumes.create({ name: 'mem', driverOpts: { type: 'tmpfs', o: 'size=1m,mode=700', device: 'tmpfs' } })
    const path = await volumes.use('mem', one)
    writeFileSync(`${path}/file`, 'x')
    expect(await volumes.use('mem', other)).toBe(path)
    expect(readFileSync(`${path}/file`, 'utf8')).toBe('x')
    expect(mountsIn(path)).toHaveLength(1)
    await volumes.release('mem', one)
    expect(mountsIn(path)).toHaveLength(1)
    await volumes.release('mem', other)
    expect(mountsIn(path)).toHaveLength(0)
    await volumes.remove('mem')
  })

  test('that cannot be mounted say why, and leave nothing', async () => {
    await volumes.create({ name: 'bad', driverOpts: { type: 'nosuchfs', device: 'x' } })
    await expect(volumes.use('bad', container())).rejects.toThrow(/failed to mount local volume bad.*nosuchfs/s)
  })
})

test('reconcile ends uses of containers that are gone, their mounts, and directories without a record', async () => {
  const gone = randomId()
  await volumes.create({ name: 'mem', driverOpts: { type: 'tmpfs', device: 'tmpfs' } })
  const path = await volumes.use('mem', gone)
  mkdirSync(`${paths.volumes}/stray/_data`, { recursive: true })
  await volumes.reconcile()
  expect(mountsIn(path)).toEqual([])
  expect(existsSync(`${paths.volumes}/stray`)).toBe(false)
  await volumes.remove('mem')
})
