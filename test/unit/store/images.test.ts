import { closeSync, createReadStream, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Digest, digestOf } from '../../../src/base/digest.ts'
import { decompressed, detectCompression, peek } from '../../../src/engine/content/compression.ts'
import {
  choosePlatform,
  type Descriptor,
  formatPlatform,
  parseManifest,
  parsePlatform,
} from '../../../src/engine/content/manifest.ts'
import { indexArchive, streamArchive } from '../../../src/engine/images/archive.ts'
import { imageHistory, listImages } from '../../../src/engine/images/listing.ts'
import { parseConfig } from '../../../src/engine/images/records.ts'
import type { Image } from '../../../src/engine/images/types.ts'
import { chainIds } from '../../../src/engine/layers/chain.ts'
import { EMPTY_LAYER } from '../../../src/engine/layers/layers.ts'
import { makeTar } from './tar-builder.ts'

let base: string
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'tcu-'))
})
afterEach(() => rmSync(base, { recursive: true, force: true }))

const digest = (text: string) => digestOf(text)

describe('layers', () => {
  test('the chainID of the bottom is its diffID, of each other the digest of the pair', () => {
    const [a, b] = [digest('a'), digest('b')]
    expect(chainIds([])).toEqual([])
    expect(chainIds([a, b])).toEqual([a, digestOf(`${a} ${b}`)])
  })

  test("the empty layer is Docker's", () => {
    expect(EMPTY_LAYER).toBe('sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef')
  })
})

describe('platforms', () => {
  const offer = (platform: string): Descriptor => {
    const [os, architecture, variant] = platform.split('/') as [string, string, string?]
    return {
      mediaType: '',
      digest: digest(platform),
      size: 1,
      platform: { os, architecture, ...(variant === undefined ? {} : { variant }) },
    }
  }
  const offers = ['linux/amd64', 'linux/arm/v6', 'linux/arm/v7', 'linux/arm64/v8', 'windows/amd64'].map(offer)
  const choose = (wanted: string) => {
    const chosen = choosePlatform(offers, parsePlatform(wanted))
    return chosen?.platform && formatPlatform(chosen.platform)
  }

  test('exact ones are chosen, and for a processor the newest variant that it runs', () => {
    expect(choose('linux/amd64')).toBe('linux/amd64')
    expect(choose('linux/arm64')).toBe('linux/arm64/v8')
    expect(choose('linux/arm/v7')).toBe('linux/arm/v7')
    expect(choose('linux/arm/v6')).toBe('linux/arm/v6')
    expect(choose('linux/arm/v5')).toBeUndefined()
    expect(choose('linux/s390x')).toBeUndefined()
  })

  test('attestations are never chosen', () => {
    const attestation: Descriptor = {
      ...offer('linux/amd64'),
      annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
    }
    expect(choosePlatform([attestation], parsePlatform('linux/amd64'))).toBeUndefined()
    expect(choosePlatform([offer('unknown/unknown')], parsePlatform('linux/amd64'))).toBeUndefined()
  })

  test('names of other tools are understood and nonsense is not', () => {
    expect(formatPlatform(parsePlatform('linux/x86_64'))).toBe('linux/amd64')
    expect(formatPlatform(parsePlatform('linux/aarch64'))).toBe('linux/arm64')
    expect(parsePlatform('linux').os).toBe('linux')
    expect(() => parsePlatform('a/b/c/d')).toThrow(/invalid platform/)
    expect(() => parsePlatform('linux/;rm')).toThrow(/invalid platform/)
  })
})

describe('documents', () => {
  test('manifests and indexes are told apart, and others refused', () => {
    const layer = { mediaType: 'x', digest: digest('l'), size: 3 }
    const manifest = { schemaVersion: 2, config: { ...layer, digest: digest('c') }, layers: [layer] }
    expect(parseManifest(Buffer.from(JSON.stringify(manifest)), 'x')).toMatchObject({
      kind: 'manifest',
      layers: [layer],
    })
    expect(parseManifest(Buffer.from('{"manifests":[]}'), 'x')).toEqual({ kind: 'index', manifests: [] })
    for (const bad of [
      '',
      'null',
      '[]',
      '{}',
      '{"layers":[],"config":null}',
      '{"layers":[{"digest":"sha256:zz"}],"config":{}}',
    ]) {
      expect(() => parseManifest(Buffer.from(bad), 'x')).toThrow(/^x: /)
    }
    expect(() => parseManifest(Buffer.from('{"schemaVersion":1}'), 'x')).toThrow(/schema 1/)
  })

  test('a config must name its layers by digest', () => {
    expect(parseConfig(Buffer.from('{"os":"linux"}')).rootfs.diff_ids).toEqual([])
    expect(() => parseConfig(Buffer.from('{"rootfs":{"diff_ids":["sha256:1"]}}'))).toThrow(/no list of layers/)
    expect(() => parseConfig(Buffer.from('nonsense'))).toThrow(/no JSON/)
  })
})

describe('compression', () => {
  const read = async (stream: Readable) => Buffer.concat((await stream.toArray()) as Buffer[]).toString()
  const text = 'plain text '.repeat(10_000)

  test('gzip and zstd are found out and undone, plain data passes', async () => {
    for (const data of [gzipSync(text), zstdCompressSync(text), Buffer.from(text)]) {
      const { stream } = await decompressed(
        Readable.from([data.subarray(0, 3), data.subarray(3)], { objectMode: false }),
      )
      expect(await read(stream)).toBe(text)
    }
    expect(detectCompression(Buffer.from('BZh9'))).toBe('bzip2')
    expect(detectCompression(Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]))).toBe('xz')
  })

  test('damage is an error in words', async () => {
    for (const data of [gzipSync(text), zstdCompressSync(text)]) {
      const { stream } = await decompressed(Readable.from([data.subarray(0, data.length >> 1)], { objectMode: false }))
      await expect(read(stream)).rejects.toMatchObject({ code: 'INVALID', message: expect.stringMatching(/^damaged/) })
    }
  })

  test('looking at the beginning takes nothing away', async () => {
    const cases: readonly (readonly string[])[] = [['a', 'bc', 'd'], ['x'], []]
    for (const parts of cases) {
      const source = Readable.from(
        parts.map((part) => Buffer.from(part)),
        { objectMode: false },
      )
      const { head, stream } = await peek(source, 2)
      expect([Buffer.from(head).toString(), await read(stream)]).toEqual([parts.join('').slice(0, 2), parts.join('')])
    }
  })
})

describe('the outer archive', () => {
  const tar = makeTar([
    { name: './manifest.json', data: '[]' },
    { name: 'dir/', type: '5' },
    { name: 'dir/layer.tar', data: 'x'.repeat(1000) },
    { name: 'other/layer.tar', type: '2', link: '../dir/layer.tar' },
    { name: 'short', data: 'long', pax: { path: `long/${'n'.repeat(150)}` } },
  ])

  test('a stream gives the entries with their content, read or not', async () => {
    const seen: [string, string, string][] = []
    for await (const entry of streamArchive(
      Readable.from([tar.subarray(0, 700), tar.subarray(700)], { objectMode: false }),
    )) {
      let content = ''
      if (entry.name !== 'dir/layer.tar') for await (const chunk of entry.content) content += chunk
      seen.push([entry.name, entry.kind, entry.target || content])
    }
    expect(seen).toEqual([
      ['manifest.json', 'file', '[]'],
      ['dir', 'other', ''],
      ['dir/layer.tar', 'file', ''],
      ['other/layer.tar', 'link', 'dir/layer.tar'],
      [`long/${'n'.repeat(150)}`, 'file', 'long'],
    ])
  })

  test('a file is indexed without being read', () => {
    const path = join(base, 'a.tar')
    writeFileSync(path, tar)
    using archive = indexArchive(createReadStream(path))
    const entry = archive?.entries.get('dir/layer.tar')
    expect(entry).toMatchObject({ kind: 'file', size: 1000 })
    expect(archive?.read(entry as NonNullable<typeof entry>, 1000).toString()).toBe('x'.repeat(1000))
    expect(() => archive?.read(entry as NonNullable<typeof entry>, 999)).toThrow(/larger than/)
  })

  test('what is compressed, a pipe, or begun already is not indexed', () => {
    const path = join(base, 'a.tar.gz')
    writeFileSync(path, gzipSync(tar))
    const compressed = createReadStream(path)
    compressed.once('error', () => {})
    expect(indexArchive(compressed)).toBeUndefined()
    compressed.destroy()
    expect(indexArchive(Readable.from([tar]))).toBeUndefined()
    const fd = openSync('/dev/null', 'r')
    expect(indexArchive(createReadStream('', { fd, autoClose: false }))).toBeUndefined()
    closeSync(fd)
  })
})

describe('listing', () => {
  const image = (
    id: string,
    tags: readonly string[],
    createdAt: string,
    labels: Record<string, string> = {},
  ): Image => ({
    id: digest(id),
    config: {
      architecture: 'amd64',
      os: 'linux',
      config: { Labels: labels },
      rootfs: { type: 'layers', diff_ids: [] },
      history: [{ created_by: 'first' }, { created_by: 'empty', empty_layer: true }, { created_by: 'last' }],
    },
    tags,
    repoDigests: [],
    sizeBytes: 0,
    createdAt,
    taggedAt: createdAt,
  })
  const images = [
    image('1', ['team/app:1', 'app:latest'], '2024-01-01', { a: 'b', c: '' }),
    image('2', [], '2024-03-01'),
    image('3', ['reg.example:5000/app:2'], '2024-02-01', { a: 'x' }),
  ]
  const ids = (filter: Parameters<typeof listImages>[1]) =>
    listImages(images, filter).map((each) => each.createdAt.slice(5, 7))

  test('newest first, by label, by reference, and those without a name', () => {
    expect(ids({})).toEqual(['03', '02', '01'])
    expect(ids({ dangling: true })).toEqual(['03'])
    expect(ids({ dangling: false })).toEqual(['02', '01'])
    expect(ids({ labels: ['a'] })).toEqual(['02', '01'])
    expect(ids({ labels: ['a=b', 'c'] })).toEqual(['01'])
    expect(ids({ references: ['app'] })).toEqual(['01'])
    expect(ids({ references: ['*/app'] })).toEqual(['02', '01'])
    expect(ids({ references: ['*/app:[1-2]'] })).toEqual(['02', '01'])
    expect(ids({ references: ['*/app:[3-9]', 'nothing'] })).toEqual([])
  })

  test('history gives each step the size of its layer', () => {
    const layer = (sizeBytes: number) => ({
      key: digest('k') as Digest,
      diffId: digest('d') as Digest,
      directory: '',
      sizeBytes,
      tarBytes: 0,
    })
    const rows = imageHistory(images[0] as Image, [layer(5), layer(7)])
    expect(rows.map((row) => [row.createdBy, row.sizeBytes, row.id === '<missing>'])).toEqual([
      ['last', 7, false],
      ['empty', 0, true],
      ['first', 5, true],
    ])
  })
})
