import { execFileSync, fork } from 'node:child_process'
import {
  createReadStream,
  createWriteStream,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { digestOf } from '../../../src/base/digest.ts'
import { silent } from '../../../src/base/progress.ts'
import { leasedObjects } from '../../../src/engine/content/leases.ts'
import { packTree } from '../../../src/runtime/fs-worker.ts'
import { makeTar } from '../../unit/store/tar-builder.ts'
import { baseLayer, dockerArchive, makeImage, ociArchive } from './archives.ts'
import { openStore, streamOf, type TestStore } from './store.ts'

const two = makeImage([
  baseLayer(),
  makeTar([
    { name: 'etc/', type: '5', mode: 0o750, uid: 7, gid: 8 },
    { name: 'etc/.wh.old' },
    { name: 'etc/name', data: 'second' },
  ]),
])

async function savedBytes(store: TestStore, refs: readonly string[]): Promise<Buffer> {
  const path = join(store.base, 'saved.tar')
  await store.images.save(refs, createWriteStream(path))
  return readFileSync(path)
}

function addContainer(store: TestStore, id: string, imageId: string, status: string): void {
  const state = JSON.stringify({ status })
  store.db.run('INSERT INTO containers VALUES (?, ?, ?, NULL, ?, ?)', id, id, imageId, '{}', state)
}

describe('loading', () => {
  const docker = dockerArchive(two, ['demo/app:1', 'demo/app:latest'])
  const forms: readonly [string, Buffer, string][] = [
    ['a Docker archive', docker, 'demo/app:1'],
    ['a Docker archive in gzip', gzipSync(docker), 'demo/app:1'],
    ['a Docker archive in zstd', zstdCompressSync(docker), 'demo/app:1'],
    ['an OCI archive with gzip layers', ociArchive(two, 'demo/app:oci', 'gzip'), 'demo/app:oci'],
    ['an OCI archive with zstd layers', ociArchive(two, 'demo/app:oci', 'zstd'), 'demo/app:oci'],
  ]
  test.each(forms)('%s is loaded from a stream and from a file', async (_, archive, name) => {
    await using fromStream = openStore()
    expect(await fromStream.images.load(streamOf(archive), silent)).toContain(name)
    await using fromFile = openStore()
    const path = join(fromFile.base, 'archive')
    writeFileSync(path, archive)
    expect(await fromFile.images.load(createReadStream(path), silent)).toContain(name)
    for (const store of [fromStream, fromFile]) {
      const image = await store.images.get(name)
      expect(image).toMatchObject({ id: two.id, config: { config: { Cmd: ['/bin/sh'] } } })
      const { lowers } = await store.images.root(name)
      expect(readFileSync(join(lowers[0] as string, 'etc/name'), 'utf8')).toBe('second')
      expect(lstatSync(join(lowers[0] as string, 'etc/old')).isCharacterDevice()).toBe(true)
      expect(readFileSync(join(lowers[1] as string, 'etc/old'), 'utf8')).toBe('old')
      expect(store.temporaryNames()).toEqual([])
    }
  })

  test('layers are shared between images and not unpacked twice', async () => {
    await using store = openStore()
    await store.images.load(streamOf(dockerArchive(two, ['a:1'])), silent)
    const other = makeImage([two.layers[0] as Buffer, makeTar([{ name: 'x', data: 'x' }])])
    await store.images.load(streamOf(dockerArchive(other, ['b:1'])), silent)
    expect(store.layerNames()).toHaveLength(3)
    const [a, b] = [await store.images.root('a:1'), await store.images.root('b:1')]
    expect(a.lowers[1]).toBe(b.lowers[1])
  })

  test('a layer that does not match its digest is refused, and nothing of the image is seen', async () => {
    await using store = openStore()
    const wrong = { ...two, layers: [two.layers[0] as Buffer, makeTar([{ name: 'evil', data: 'x' }])] }
    await expect(store.images.load(streamOf(dockerArchive(wrong, ['a:1'])), silent)).rejects.toMatchObject({
      code: 'CORRUPT',
    })
    expect(await store.images.list()).toEqual([])
    expect(store.temporaryNames()).toEqual([])
    await store.images.reconcile()
    expect(store.layerNames().length).toBeLessThanOrEqual(1)
  })

  test('archives that are cut off, empty or no archives are refused in words', async () => {
    await using store = openStore()
    const whole = dockerArchive(two, ['a:1'])
    for (const bad of [
      whole.subarray(0, 3000),
      Buffer.alloc(0),
      Buffer.alloc(4096, 7),
      gzipSync(whole).subarray(0, 500),
    ]) {
      await expect(store.images.load(streamOf(bad), silent)).rejects.toMatchObject({ code: 'INVALID' })
    }
    const noManifest = makeTar([{ name: 'etc/passwd', data: 'x' }])
    await expect(store.images.load(streamOf(noManifest), silent)).rejects.toThrow(/no image archive/)
    expect([await store.images.list(), store.layerNames(), store.temporaryNames()]).toEqual([[], [], []])
  })

  test('a blob whose bytes differ from its name is refused', async () => {
    await using store = openStore()
    const archive = ociArchive(two, 'a:1', 'gzip')
    const at = archive.indexOf('"Cmd"')
    archive.write('"Xmd"', at)
    await expect(store.images.load(streamOf(archive), silent)).rejects.toMatchObject({ code: 'CORRUPT' })
  })
})

describe('layers that need those below them', () => {
  test('directories that a layer does not list keep the attributes they have below', async () => {
    await using store = openStore()
    const image = makeImage([baseLayer(), makeTar([{ name: 'etc/extra', data: 'x' }])])
    await store.images.load(streamOf(dockerArchive(image, ['a:1'])), silent)
    const { lowers } = await store.images.root('a:1')
    const etc = lstatSync(join(lowers[0] as string, 'etc'))
    expect([etc.mode & 0o7777, etc.uid, etc.gid]).toEqual([0o750, 7, 8])
  })

  test('a hard link into a lower layer becomes a file of its own, and links below a linked directory are followed', async () => {
    await using store = openStore()
    const below = makeTar([
      { name: 'usr/', type: '5' },
      { name: 'usr/lib/', type: '5' },
      { name: 'usr/lib/one', data: 'one' },
      { name: 'lib', type: '2', link: 'usr/lib' },
    ])
    const above = makeTar([
      { name: 'usr/lib/two', type: '1', link: 'usr/lib/one' },
      { name: 'lib/three', data: 'three' },
    ])
    const image = makeImage([below, above])
    await store.images.load(streamOf(dockerArchive(image, ['a:1'])), silent)
    const { lowers } = await store.images.root('a:1')
    const names: string[] = []
    for await (const chunk of packTree({ kind: 'overlay', lowers }, '/', { name: '' })) names.push(String(chunk))
    const listing = execFileSync('tar', ['-tf', '-'], { input: names.join('') }).toString()
    expect(listing).toContain('usr/lib/two')
    expect(listing).toContain('usr/lib/three')
    expect(listing).toContain('lib\n')
    expect(listing).not.toContain('\nlib/three')
    // Its archive is still what it was.
    const again = await savedBytes(store, ['a:1'])
    await using second = openStore()
    await second.images.load(streamOf(again), silent)
    expect((await second.images.get('a:1')).id).toBe(image.id)
    // And it is recognised as whole after a boot.
    for (const lower of lowers) writeFileSync(`${lower}.new`, 'another-boot')
    await store.layers.reconcile()
    expect(await store.images.list()).toHaveLength(1)
  })
})

describe('saving and importing', () => {
  test('what is saved is loaded again as the same image, and saving is reproducible', async () => {
    await using store = openStore()
    await store.images.load(streamOf(dockerArchive(two, ['demo/app:1'])), silent)
    const first = await savedBytes(store, ['demo/app:1'])
    await using second = openStore()
    expect(await second.images.load(streamOf(first), silent)).toEqual(['demo/app:1'])
    expect((await second.images.get('demo/app:1')).id).toBe(two.id)
    expect((await savedBytes(second, ['demo/app:1'])).equals(first)).toBe(true)
  })

  test('an image saved by its id has no name', async () => {
    await using store = openStore()
    await store.images.load(streamOf(dockerArchive(two, ['demo/app:1'])), silent)
    const bytes = await savedBytes(store, [two.id.slice(7, 19)])
    await using second = openStore()
    expect(await second.images.load(streamOf(bytes), silent)).toEqual([two.id])
    expect((await second.images.get(two.id)).tags).toEqual([])
  })

  test('a root file system becomes an image of one layer', async () => {
    await using store = openStore()
    const options = { reference: 'made:here', message: 'by hand', config: { Cmd: ['/bin/tool'] } }
    const image = await store.images.import(streamOf(gzipSync(baseLayer())), options)
    expect(image).toMatchObject({ tags: ['made:here'], config: { config: { Cmd: ['/bin/tool'] } } })
    expect(image.config.rootfs.diff_ids).toEqual([digestOf(baseLayer())])
    expect(await store.images.history('made:here')).toMatchObject([{ id: image.id, comment: 'by hand' }])
  })

  test('a directory becomes a layer by renaming, and an equal one is not kept twice', async () => {
    await using store = openStore()
    const { mkdirSync } = await import('node:fs')
    const make = (name: string) => {
      const directory = join(store.paths.root, name)
      mkdirSync(directory)
      writeFileSync(join(directory, 'file'), 'content')
      execFileSync('touch', ['-d', '@1700000000', join(directory, 'file')])
      return directory
    }
    const first = await store.layers.commit(make('one'))
    const second = await store.layers.commit(make('two'))
    expect([existsSync(join(store.paths.root, 'one')), existsSync(join(store.paths.root, 'two'))]).toEqual([
      false,
      false,
    ])
    expect(second).toEqual(first)
    const image = await store.images.put(
      { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [first.diffId] } },
      { references: ['built:1'] },
    )
    expect((await store.images.root('built:1')).lowers).toEqual([first.directory])
    const saved = await savedBytes(store, ['built:1'])
    await using other = openStore()
    await other.images.load(streamOf(saved), silent)
    expect((await other.images.get('built:1')).id).toBe(image.id)
  })

  test('an image without layers has an empty root', async () => {
    await using store = openStore()
    await store.images.put(
      { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } },
      { references: ['nothing:1'] },
    )
    const { lowers } = await store.images.root('nothing:1')
    expect(lowers.map((lower) => readdirSync(lower))).toEqual([[]])
  })
})

describe('removing', () => {
  const container = 'c'.repeat(64)

  test('the last name takes the image and its layers with it', async () => {
    await using store = openStore()
    await store.images.load(streamOf(dockerArchive(two, ['a:1', 'a:2'])), silent)
    expect(await store.images.remove('a:1')).toEqual({ untagged: ['a:1'], deleted: [] })
    const { untagged, deleted } = await store.images.remove('a:2')
    expect([untagged, deleted[0]]).toEqual([['a:2'], two.id])
    expect([await store.images.list(), store.layerNames()]).toEqual([[], []])
    expect(readdirSync(store.paths.layers)).toEqual([])
  })

  test('an image in several repositories is removed by id only when forced', async () => {
    await using store = openStore()
    await store.images.load(streamOf(dockerArchive(two, ['a:1', 'b:1'])), silent)
    await expect(store.images.remove(two.id)).rejects.toThrow(
      /^conflict: unable to delete [0-9a-f]{12} \(must be forced\) - image is referenced in multiple repositories$/,
    )
    expect(await store.images.remove(two.id, { force: true })).toMatchObject({ untagged: ['a:1', 'b:1'] })
  })

  test('an image that containers were made from is kept, in the words of Docker', async () => {
    await using store = openStore()
    await store.images.load(streamOf(dockerArchive(two, ['a:1'])), silent)
    addContainer(store, container, two.id, 'exited')
    await expect(store.images.remove('a:1')).rejects.toThrow(
      `conflict: unable to remove repository reference "a:1" (must force) - container ${'c'.repeat(12)} is using its referenced image ${two.id.slice(7, 19)}`,
    )
    await expect(store.images.remove(two.id)).rejects.toThrow(/must be forced.*stopped container c{12}/)
    expect(await store.images.remove('a:1', { force: true })).toEqual({ untagged: ['a:1'], deleted: [] })
    expect((await store.images.prune({ all: true })).removed).toEqual([])
    store.db.run('DELETE FROM containers')
    expect((await store.images.prune()).removed[0]).toBe(two.id)
    expect(store.layerNames()).toEqual([])
  })

  test('an image of a running container cannot be removed by force', async () => {
    await using store = openStore()
    await store.images.load(streamOf(dockerArchive(two, ['a:1'])), silent)
    addContainer(store, container, two.id, 'running')
    await expect(store.images.remove(two.id, { force: true })).rejects.toThrow(/cannot be forced.*running container/)
  })

  test('images are found by name, digest, id and id prefix', async () => {
    await using store = openStore()
    await store.images.load(streamOf(dockerArchive(two, ['demo/app:1'])), silent)
    await store.images.tag('demo/app:1', 'registry.example:5000/x/y')
    for (const ref of [
      'demo/app:1',
      'docker.io/demo/app:1',
      two.id,
      two.id.slice(7),
      two.id.slice(7, 15),
      'registry.example:5000/x/y:latest',
    ]) {
      expect((await store.images.get(ref)).id).toBe(two.id)
    }
    await expect(store.images.get('demo/app')).rejects.toThrow('no such image: demo/app:latest')
    expect(await store.images.find('ffffffffffff')).toBeUndefined()
    expect(await store.images.list({ references: ['demo/*'] })).toHaveLength(1)
    expect(await store.images.list({ references: ['demo/other*'] })).toHaveLength(0)
    expect(await store.images.list({ labels: ['made=here'], dangling: false })).toHaveLength(1)
  })
})

describe('several processes and their deaths', () => {
  const script = join(import.meta.dirname, 'load-process.ts')
  const start = (store: TestStore, archive: string) =>
    fork(script, [store.base, archive], { stdio: 'ignore', execArgv: [] })
  const ended = (child: ReturnType<typeof fork>) => new Promise<number | null>((resolve) => child.once('exit', resolve))

  test('many processes load the same archive at once', async () => {
    await using store = openStore()
    const path = join(store.base, 'archive')
    writeFileSync(path, dockerArchive(two, ['a:1']))
    const codes = await Promise.all(Array.from({ length: 4 }, () => ended(start(store, path))))
    expect(codes).toEqual([0, 0, 0, 0])
    await store.images.reconcile()
    expect([store.layerNames().length, (await store.images.list()).length]).toEqual([2, 1])
  })

  test('a load killed at any moment leaves nothing that the next opening does not repair', async () => {
    await using store = openStore()
    const path = join(store.base, 'archive')
    const layers = [1, 2, 3].map((number) =>
      makeTar(Array.from({ length: 400 }, (_, index) => ({ name: `f${number}-${index}`, data: 'x'.repeat(3000) }))),
    )
    const image = makeImage(layers)
    writeFileSync(path, dockerArchive(image, ['big:1']))
    for (let round = 0; round < 6; round++) {
      const child = start(store, path)
      const exit = ended(child)
      const moment = setTimeout(() => child.kill('SIGKILL'), 60 + round * 35)
      await exit
      clearTimeout(moment)
      await store.images.reconcile()
      expect(store.temporaryNames()).toEqual([])
      const known = store.db.all('SELECT directory FROM layers').map((row) => String(row.directory))
      expect(store.layerNames().toSorted()).toEqual(known.toSorted())
      for (const each of await store.images.list()) expect(each.id).toBe(image.id)
    }
    await store.images.load(createReadStream(path), silent)
    const saved = await savedBytes(store, ['big:1'])
    for (const layer of layers) expect(saved.includes(layer)).toBe(true)
  })

  test('what another process works with is not collected, and what a dead one held is', async () => {
    await using store = openStore()
    const directory = join(store.paths.root, 'new')
    const { mkdirSync } = await import('node:fs')
    mkdirSync(directory)
    const layer = await store.layers.commit(directory)
    expect((await store.layers.collect()).removed).toEqual([])
    expect(leasedObjects(store.db, 'layer')).toContain(layer.key)
    store.db.run("UPDATE leases SET pid_start = '1'")
    expect((await store.layers.collect()).removed).toEqual([layer.key])
    expect(store.layerNames()).toEqual([])
  })

  test('after a loss of power, a layer whose content was lost is not trusted', async () => {
    await using store = openStore()
    await store.images.load(streamOf(dockerArchive(two, ['a:1'])), silent)
    const { lowers } = await store.images.root('a:1')
    const [top, bottom] = lowers as [string, string]
    for (const lower of lowers) writeFileSync(`${lower}.new`, 'another-boot')
    writeFileSync(join(top, 'etc/name'), '')
    await store.layers.reconcile()
    expect([existsSync(top), existsSync(bottom), await store.images.list()]).toEqual([false, true, []])
  })
})
