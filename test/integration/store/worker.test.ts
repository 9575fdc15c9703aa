import { execFileSync, spawn, spawnSync } from 'node:child_process'
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { constants, gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { digestOf } from '../../../src/base/digest.ts'
import {
  copyTree,
  diffUpper,
  digestAssembled,
  digestTree,
  diskUsage,
  type FsTarget,
  listDirectory,
  packTree,
  readFileIn,
  removePath,
  removeTree,
  statPath,
  type UnpackOptions,
  unpackTar,
} from '../../../src/runtime/fs-worker.ts'
import { makeTar, type TarEntry } from '../../unit/store/tar-builder.ts'
import { noise } from './registry-server.ts'
import { streamOf } from './store.ts'

let base: string
let root: string
let target: FsTarget

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'tcw-'))
  root = join(base, 'root')
  mkdirSync(root)
  target = { kind: 'directory', path: root }
})
afterEach(() => rmSync(base, { recursive: true, force: true }))

const unpack = (entries: readonly TarEntry[], options: UnpackOptions = { mode: 'layer' }) =>
  unpackTar(target, '/', streamOf(makeTar(entries)), options)

async function collect(stream: NodeJS.ReadableStream): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** version 2, effective, cap_net_raw permitted */
const CAPABILITY = Buffer.from([1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])

describe('unpacking', () => {
  test('modes, owners, nanosecond times, links, devices, pipes and capabilities are kept', async () => {
    const result = await unpack([
      { name: './', type: '5', mode: 0o711 },
      { name: 'dir/', type: '5', mode: 0o1777, uid: 12, gid: 13, mtime: 1_600_000_000 },
      {
        name: 'dir/tool',
        mode: 0o4755,
        data: 'x',
        pax: { mtime: '1500000000.123456789', 'SCHILY.xattr.security.capability': CAPABILITY.toString('latin1') },
      },
      { name: 'dir/same', type: '1', link: 'dir/tool' },
      { name: 'dir/link', type: '2', link: '../far' },
      { name: 'null', type: '3', major: 1, minor: 3, mode: 0o666 },
      { name: 'pipe', type: '6' },
      { name: 'big', data: '', pax: { uid: '4000000000', gid: '3000000000' } },
    ])
    expect(result).toMatchObject({ standalone: true, entries: 8, sizeBytes: 1 })
    expect(lstatSync(root).mode & 0o7777).toBe(0o711)
    const dir = lstatSync(join(root, 'dir'))
    expect([dir.mode & 0o7777, dir.uid, dir.gid, dir.mtimeMs]).toEqual([0o1777, 12, 13, 1_600_000_000_000])
    const tool = lstatSync(join(root, 'dir/tool'), { bigint: true })
    expect([tool.mode & 0o7777n, tool.nlink, tool.mtimeNs]).toEqual([0o4755n, 2n, 1_500_000_000_123_456_789n])
    expect(readlinkSync(join(root, 'dir/link'))).toBe('../far')
    expect(lstatSync(join(root, 'null')).isCharacterDevice()).toBe(true)
    expect(lstatSync(join(root, 'pipe')).isFIFO()).toBe(true)
    expect([lstatSync(join(root, 'big')).uid, lstatSync(join(root, 'big')).gid]).toEqual([4_000_000_000, 3_000_000_000])
    const packed = (await collect(packTree(target, '/', { mode: 'layer' }))).toString('latin1')
    expect(packed).toContain(`SCHILY.xattr.security.capability=${CAPABILITY.toString('latin1')}`)
  })

  test('whiteouts become overlay whiteouts, in whatever order they stand, and packing gives them back', async () => {
    const entries: TarEntry[] = [
      { name: 'a/', type: '5' },
      { name: 'a/.wh.gone', mode: 0, mtime: 0 },
      { name: 'again/', type: '5' },
      { name: 'again/new', data: 'n' },
      { name: '.wh.again', mode: 0, mtime: 0 },
      { name: '.wh.file', mode: 0, mtime: 0 },
      { name: 'file', data: 'back' },
      { name: 'b/', type: '5' },
      { name: 'b/.wh..wh..opq', mode: 0, mtime: 0 },
    ]
    await unpack(entries)
    const gone = lstatSync(join(root, 'a/gone'))
    expect([gone.isCharacterDevice(), gone.rdev]).toEqual([true, 0])
    expect(readFileSync(join(root, 'file'), 'utf8')).toBe('back')
    const names = execFileSync('tar', ['-tf', '-'], { input: await collect(packTree(target, '/', { mode: 'layer' })) })
    expect(names.toString().split('\n').filter(Boolean)).toEqual([
      'a/',
      'a/.wh.gone',
      'again/',
      'again/.wh..wh..opq',
      'again/new',
      'b/',
      'b/.wh..wh..opq',
      'file',
    ])
  })

  test('an archive is reproduced bit by bit from the directory, also when it gives a path twice', async () => {
    const long = `${'d'.repeat(90)}/${'e'.repeat(120)}`
    const tar = Buffer.concat([
      makeTar([
        { name: 'x/', type: '5' },
        { name: 'x/one', data: 'first' },
        { name: 'y', type: '1', link: 'x/one' },
        { name: 'x/one', data: 'second' },
        { name: 'long', data: 'l'.repeat(5000), pax: { path: long, comment: 'kept' } },
        { name: 'x', data: 'a file now' },
        { name: '.wh.z', data: 'odd' },
      ]),
      Buffer.from('trailing bytes that nobody needs'),
    ])
    const skeleton = join(base, 'skeleton')
    const result = await unpackTar(target, '/', streamOf(tar), { mode: 'layer', skeleton })
    expect(result.digest).toBe(digestOf(tar))
    expect(readFileSync(join(root, 'x'), 'utf8')).toBe('a file now')
    expect((await digestAssembled(root, skeleton)).digest).toBe(digestOf(tar))
  })

  test('packing is deterministic and its digest is that of its stream', async () => {
    await unpack([
      { name: 'b', data: 'b' },
      { name: 'a/', type: '5' },
      { name: 'a/c', type: '2', link: '/b' },
      { name: 'ä', data: 'utf8' },
    ])
    const first = await collect(packTree(target, '/', { mode: 'layer' }))
    const { digest, tarBytes } = await digestTree(target, '/', { mode: 'layer' })
    expect([digest, tarBytes]).toEqual([digestOf(first), first.length])
  })

  test('directories that are not listed make a layer depend on those below it', async () => {
    expect((await unpack([{ name: 'deep/down/file', data: '1' }])).standalone).toBe(false)
    expect((await unpack([{ name: 'other', type: '1', link: 'below/target' }])).standalone).toBe(false)
  })

  test('a slice of a file is read by the worker itself', async () => {
    const tar = makeTar([{ name: 'f', data: 'content' }])
    const path = join(base, 'outer')
    writeFileSync(path, Buffer.concat([Buffer.alloc(100, 1), tar, Buffer.alloc(100, 2)]))
    const { openSync, closeSync } = await import('node:fs')
    const fd = openSync(path, 'r')
    const result = await unpackTar(target, '/', { fd, offset: 100, length: tar.length })
    closeSync(fd)
    expect(result.digest).toBe(digestOf(tar))
    expect(readFileSync(join(root, 'f'), 'utf8')).toBe('content')
  })
})

describe('hostile archives', () => {
  const outside = () => execFileSync('find', [base, '-path', root, '-prune', '-o', '-print']).toString()

  const refused: readonly [string, readonly TarEntry[], RegExp][] = [
    ['a name that climbs out', [{ name: '../evil', data: 'x' }], /entry \.\.\/evil: it leads out of the archive/],
    ['a name that climbs out later', [{ name: 'a/../../evil', data: 'x' }], /leads out/],
    ['a hard link that climbs out', [{ name: 'l', type: '1', link: '../secret' }], /entry l: its hard link leads out/],
    ['a hard link to itself', [{ name: 'l', type: '1', link: './l' }], /entry l: it is a hard link to itself/],
    ['a whiteout of the parent', [{ name: 'd/.wh...', data: '' }], /entry d\/\.wh\.\.\.: it is a broken whiteout/],
    ['a whiteout without a name', [{ name: '.wh.', data: '' }], /broken whiteout/],
    ['a sparse file', [{ name: 's', type: 'S', data: '' }], /entry s: sparse archive entries are not supported/],
    ['an unknown kind', [{ name: 'v', type: 'V', data: '' }], /entry v: archive entries of type 'V' are not supported/],
    ['a size beyond the limit', [{ name: 'huge', size: 0o77777777777, data: '' }], /entry huge: .*(limit|cut off)/],
    [
      'a file as directory',
      [
        { name: 'f', data: 'x' },
        { name: 'f/g', data: 'y' },
      ],
      /entry f\/g: .*not a directory/,
    ],
    [
      'a name of more than 255 bytes',
      [{ name: 'n', data: '', pax: { path: 'n'.repeat(300) } }],
      /its name is too long/,
    ],
    ['a path of more than 4,095 bytes', [{ name: 'n', data: '', pax: { path: 'n/'.repeat(2100) } }], /too long/],
    ['a NUL byte in a name', [{ name: 'n', data: '', pax: { path: 'a\0b' } }], /NUL byte/],
    [
      'an owner out of range',
      [{ name: 'n', data: '', pax: { uid: '99999999999' } }],
      /entry n: its owner is out of range/,
    ],
    ['a root that is a link', [{ name: '.', type: '2', link: '/etc' }], /root of an archive must be a directory/],
  ]
  test.each(refused)('%s is refused by name and nothing outside is touched', async (_, entries, message) => {
    writeFileSync(join(base, 'secret'), 'secret')
    const before = outside()
    await expect(unpack(entries)).rejects.toMatchObject({
      code: expect.stringMatching(/INVALID|UNSUPPORTED/),
      message: expect.stringMatching(message),
    })
    expect(outside()).toBe(before)
  })

  test('symbolic links do not lead out, whether they are absolute, relative or chained', async () => {
    await unpack(
      [
        { name: 'abs', type: '2', link: base },
        { name: 'rel', type: '2', link: '../../../../../../../../../../..' },
        { name: 'chain', type: '2', link: `abs/..` },
        { name: 'rel/pwned', data: 'r' },
        { name: `abs${base}/pwned`, data: 'a' },
      ],
      { mode: 'plain' },
    ).catch(() => {})
    expect(readdirSync(base)).toEqual(['root'])
    expect(readFileSync(join(root, 'pwned'), 'utf8')).toBe('r')
  })

  test('a directory replaced by a link is no way out for later entries', async () => {
    const secret = join(base, 'secret')
    mkdirSync(secret)
    await unpack([
      { name: 'd/', type: '5' },
      { name: 'd/before', data: '1' },
      { name: 'd', type: '2', link: secret },
      { name: 'd/after', data: '2' },
    ]).catch(() => {})
    expect(readdirSync(secret)).toEqual([])
  })

  test('attributes of the overlay in an archive are not taken', async () => {
    await unpack([
      { name: 'd/', type: '5', pax: { 'SCHILY.xattr.trusted.overlay.redirect': '/etc' } },
      { name: 'f', data: '', pax: { 'SCHILY.xattr.user.kept': 'yes' } },
    ])
    const packed = (await collect(packTree(target, '/', { mode: 'layer' }))).toString('latin1')
    expect(packed).not.toContain('redirect')
  })

  test('an archive that unpacks to more than its limit is refused', async () => {
    const tar = makeTar([{ name: 'zeros', data: Buffer.alloc(300_000) }])
    await expect(unpackTar(target, '/', streamOf(tar), { maxBytes: 100_000 })).rejects.toThrow(/larger than the limit/)
    const many = makeTar(Array.from({ length: 50 }, (_, index) => ({ name: `f${index}` })))
    await expect(unpackTar(target, '/', streamOf(many), { maxEntries: 49 })).rejects.toThrow(/more than 49 entries/)
  })

  test('gzip is unpacked on the way, in all its forms, and damage is noticed', async () => {
    const text = Buffer.concat(
      readdirSync(import.meta.dirname).map((name) => {
        const path = join(import.meta.dirname, name)
        return statSync(path).isFile() ? readFileSync(path) : Buffer.alloc(0)
      }),
    )
    const tar = makeTar([
      { name: 'text', data: text },
      { name: 'noise', data: noise('gzip', 700_000) },
      { name: 'zeros', data: Buffer.alloc(1_500_000) },
    ])
    const half = tar.length >> 1
    const forms = [
      ...[0, 1, 4, 9].map((level) => gzipSync(tar, { level })),
      gzipSync(tar, { strategy: constants.Z_FIXED }),
      gzipSync(tar, { strategy: constants.Z_HUFFMAN_ONLY }),
      gzipSync(tar, { strategy: constants.Z_RLE, memLevel: 1 }),
      Buffer.concat([gzipSync(tar.subarray(0, half)), gzipSync(tar.subarray(half)), Buffer.alloc(100)]),
    ]
    for (const [index, gz] of forms.entries()) {
      for (const chunkBytes of index === 1 ? [1, 1000] : [7777]) {
        const small = chunkBytes === 1 ? gzipSync(makeTar([{ name: 'f', data: 'x'.repeat(999) }])) : gz
        const result = await unpackTar(target, '/', streamOf(small, chunkBytes))
        expect(result.inputDigest).toBe(digestOf(small))
        if (small === gz) expect(result.digest).toBe(digestOf(tar))
      }
    }
    const whole = forms[2] as Buffer
    const crc = Buffer.from(whole)
    crc[crc.length - 6] = (crc.at(-6) as number) ^ 1
    for (const bad of [
      whole.subarray(0, whole.length - 4),
      whole.subarray(0, 40),
      crc,
      Buffer.concat([whole, Buffer.from('junk')]),
    ]) {
      await expect(unpackTar(target, '/', streamOf(bad))).rejects.toThrow('damaged gzip data')
    }
  })

  test('damaged and cut archives are refused', async () => {
    const tar = makeTar([{ name: 'f', data: 'x'.repeat(2000) }])
    for (const broken of [tar.subarray(0, 700), tar.subarray(0, 100), Buffer.from('no archive at all'.repeat(100))]) {
      await expect(unpackTar(target, '/', streamOf(broken))).rejects.toMatchObject({ code: 'INVALID' })
    }
    const flipped = Buffer.from(tar)
    flipped[3] = 0x7f
    await expect(unpackTar(target, '/', streamOf(flipped))).rejects.toThrow(/checksum/)
  })
})

describe('looking and copying', () => {
  beforeEach(async () => {
    await unpack([
      { name: 'etc/', type: '5' },
      { name: 'etc/passwd', data: 'root:x:0:0::/:\n', mode: 0o640, uid: 5, gid: 6 },
      { name: 'abs', type: '2', link: '/etc' },
      { name: 'up', type: '2', link: '../../../etc/passwd' },
      { name: 'same', type: '1', link: 'etc/passwd' },
    ])
  })

  test('a stat of a link says where it leads inside the root', async () => {
    expect(await statPath(target, '/abs')).toMatchObject({ name: 'abs', link: '/etc', linkTarget: '/etc' })
    expect(await statPath(target, '/up')).toMatchObject({ linkTarget: '/etc/passwd' })
    expect(await statPath(target, '/abs/passwd')).toMatchObject({ resolved: '/etc/passwd', uid: 5, sizeBytes: 15 })
    expect(await statPath(target, '/up', { follow: true })).toMatchObject({ name: 'up', resolved: '/etc/passwd' })
    await expect(statPath(target, '/none')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test('files are read and listed inside the root', async () => {
    expect((await readFileIn(target, '/up')).toString()).toMatch(/^root:/)
    const names = (await listDirectory(target, '/', { recursive: true })).map((entry) => entry.path)
    expect(names).toEqual(['abs', 'etc', 'etc/passwd', 'same', 'up'])
  })

  test('a copy keeps owners, modes, links and hard links, and may wait for an empty place', async () => {
    const to = join(base, 'copy')
    mkdirSync(to)
    expect(await copyTree(target, '/', { to, ifEmpty: true })).toMatchObject({ copied: true })
    const copied = lstatSync(join(to, 'etc/passwd'))
    expect([copied.uid, copied.mode & 0o777, copied.nlink, copied.size]).toEqual([5, 0o640, 2, 15])
    expect(readlinkSync(join(to, 'up'))).toBe('../../../etc/passwd')
    expect(await copyTree(target, '/', { to, ifEmpty: true })).toMatchObject({ copied: false })
  })

  test('what is removed is only what is inside', async () => {
    symlinkSync(base, join(root, 'out'))
    await removePath(target, '/out')
    await removePath(target, '/abs/passwd')
    expect(readdirSync(join(root, 'etc'))).toEqual([])
    symlinkSync(root, join(base, 'link'))
    await removeTree([join(base, 'link'), join(base, 'never')])
    expect(statSync(root).isDirectory()).toBe(true)
  })

  test('hard links count once in disk usage', async () => {
    expect(await diskUsage(root)).toMatchObject({ entries: 5, sizeBytes: 15 + 4 + 19 })
  })

  test('an overlay of layers is seen as one, with the changes of its upper directory', async () => {
    const upper = join(base, 'upper')
    const work = join(base, 'work')
    mkdirSync(upper)
    mkdirSync(work)
    const overlay: FsTarget = { kind: 'overlay', lowers: [root], upper, work }
    const tar = makeTar([{ name: 'etc/passwd', data: 'changed' }, { name: 'etc/new', data: 'n' }, { name: '.wh.same' }])
    await unpackTar(overlay, '/', streamOf(tar), { mode: 'merged' })
    expect((await readFileIn({ kind: 'overlay', lowers: [upper, root] }, '/etc/passwd')).toString()).toBe('changed')
    expect(await diffUpper(upper, [root])).toEqual([
      { kind: 'C', path: '/etc' },
      { kind: 'A', path: '/etc/new' },
      { kind: 'C', path: '/etc/passwd' },
      { kind: 'D', path: '/same' },
    ])
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(base)
  })

  test('a running process is entered by its pid and start time', async () => {
    const child = spawn('sleep', ['60'])
    try {
      const pid = child.pid as number
      expect((await statPath({ kind: 'process', pid }, root)).name).toBe('root')
      await expect(statPath({ kind: 'process', pid, pidStart: '1' }, root)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    } finally {
      child.kill('SIGKILL')
    }
  })
})

describe('the worker under a sanitizer', () => {
  const runs = process.env.TCOMPOSE_FUZZ === 'long' ? 10_000 : 150

  test(`${runs} damaged archives neither crash it nor get out`, { timeout: 1_800_000 }, () => {
    const sources = join(import.meta.dirname, '../../../src/runtime/fs')
    const files = readdirSync(sources).filter((name) => name.endsWith('.c'))
    const program = join(base, 'sanitized')
    execFileSync(
      'gcc',
      ['-std=gnu11', '-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-o', program].concat(
        files.map((name) => join(sources, name)),
      ),
    )
    const english = makeTar(
      readdirSync(sources).map((name) => ({ name: `src/${name}`, data: readFileSync(join(sources, name)) })),
    )
    const seeds = [
      makeTar([
        { name: 'd/', type: '5', mode: 0o755 },
        { name: 'd/f', data: 'x'.repeat(700), pax: { mtime: '1.5', 'SCHILY.xattr.user.a': 'b', path: 'd/file' } },
        { name: 'd/l', type: '1', link: 'd/file' },
        { name: 'd/s', type: '2', link: '../../../../tmp' },
        { name: '.wh.gone' },
        { name: 'd/.wh..wh..opq' },
      ]),
      makeTar([
        { name: 's', type: '2', link: '/' },
        { name: 's/t', data: '1' },
        { name: 's', type: '5' },
        { name: 's/../u', data: '2' },
        { name: 'n', type: '3', major: 1, minor: 3 },
      ]),
    ]
    seeds.push(
      gzipSync(seeds[0] as Buffer),
      gzipSync(noise('fuzz', 40_000), { level: 9 }),
      gzipSync(english, { level: 9 }),
    )
    let state = 12345
    const random = (below: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0
      return Math.floor((state / 2 ** 32) * below)
    }
    const fixChecksum = (tar: Buffer, at: number) => {
      tar.fill(' ', at + 148, at + 156)
      let sum = 0
      for (const byte of tar.subarray(at, at + 512)) sum += byte
      tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1')
    }
    const sentinel = join(base, 'sentinel')
    writeFileSync(sentinel, 'untouched')
    const modes = ['layer', 'plain', 'merged']
    for (let run = 0; run < runs; run++) {
      const chosen = seeds[random(seeds.length)] as Buffer
      const isGzip = chosen[0] === 0x1f
      const tar = Buffer.from(chosen)
      for (let change = random(6); change >= 0; change--) {
        const at = random(tar.length)
        tar[at] = random(4) === 0 ? 0x2e : random(256)
        if (!isGzip && random(4) !== 0) fixChecksum(tar, Math.min(Math.floor(at / 512) * 512, tar.length - 512))
      }
      const place = join(base, `run`)
      mkdirSync(place)
      const args = ['--root', place, 'unpack', '/', '--mode', modes[random(3)] as string, '--max-bytes', '10000000']
      if (random(2) === 0) args.push('--skeleton', join(base, 'fuzz-skeleton'))
      const result = spawnSync(program, args, {
        input: tar.subarray(0, random(20) === 0 ? random(tar.length) : tar.length),
        env: { ASAN_OPTIONS: 'detect_leaks=0' },
      })
      const text = result.stderr.toString('latin1')
      expect(text).not.toMatch(/Sanitizer|runtime error/)
      expect([0, 65, 66, 67, 68, 69, 70]).toContain(result.status)
      rmSync(place, { recursive: true, force: true })
      rmSync(join(base, 'fuzz-skeleton'), { force: true })
      rmSync(join(base, 'fuzz-skeleton.dup'), { recursive: true, force: true })
    }
    expect(readdirSync(base).toSorted()).toEqual(['root', 'sanitized', 'sentinel'])
    expect(readFileSync(sentinel, 'utf8')).toBe('untouched')
  })
})
