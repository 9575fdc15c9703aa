import { gzipSync, zstdCompressSync } from 'node:zlib'
import { type Digest, digestOf, hexOf } from '../../../src/base/digest.ts'
import { makeTar, type TarEntry } from '../../unit/store/tar-builder.ts'

export interface MadeImage {
  readonly config: Buffer
  readonly layers: readonly Buffer[]
  readonly id: Digest
}

/** An image of the given layer archives. */
export function makeImage(layers: readonly Buffer[], extra: object = {}): MadeImage {
  const config = Buffer.from(
    JSON.stringify({
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      os: 'linux',
      created: '2024-01-02T03:04:05Z',
      config: { Cmd: ['/bin/sh'], Labels: { made: 'here' } },
      rootfs: { type: 'layers', diff_ids: layers.map((layer) => digestOf(layer)) },
      history: layers.map((_, index) => ({ created: '2024-01-02T03:04:05Z', created_by: `step ${index}` })),
      ...extra,
    }),
  )
  return { config, layers, id: digestOf(config) }
}

/** As `docker save` of old: `manifest.json` at the end, layers in folders. */
export function dockerArchive(image: MadeImage, tags: readonly string[]): Buffer {
  const names = image.layers.map((_, index) => `${String(index).repeat(64)}/layer.tar`)
  const manifest = [{ Config: `${hexOf(image.id)}.json`, RepoTags: tags, Layers: names }]
  return makeTar([
    ...image.layers.map((layer, index): TarEntry => ({ name: names[index] as string, data: layer })),
    { name: `${hexOf(image.id)}.json`, data: image.config },
    { name: 'manifest.json', data: JSON.stringify(manifest) },
  ])
}

/** An OCI layout with compressed layers in a tar. */
export function ociArchive(image: MadeImage, name: string, compression: 'gzip' | 'zstd'): Buffer {
  const blobs = new Map<string, Buffer>()
  const put = (mediaType: string, data: Buffer) => {
    blobs.set(`blobs/sha256/${hexOf(digestOf(data))}`, data)
    return { mediaType, digest: digestOf(data), size: data.length }
  }
  const layers = image.layers.map((layer) =>
    put(
      `application/vnd.oci.image.layer.v1.tar+${compression}`,
      compression === 'gzip' ? gzipSync(layer) : zstdCompressSync(layer),
    ),
  )
  const config = put('application/vnd.oci.image.config.v1+json', image.config)
  const manifest = put(
    'application/vnd.oci.image.manifest.v1+json',
    Buffer.from(JSON.stringify({ schemaVersion: 2, config, layers })),
  )
  const index = {
    schemaVersion: 2,
    manifests: [{ ...manifest, annotations: { 'org.opencontainers.image.ref.name': name } }],
  }
  return makeTar([
    { name: 'oci-layout', data: '{"imageLayoutVersion":"1.0.0"}' },
    { name: 'index.json', data: JSON.stringify(index) },
    ...[...blobs].map(([path, data]): TarEntry => ({ name: path, data })),
  ])
}

/** A small root file system: the base of most images here. */
export function baseLayer(text = 'base'): Buffer {
  return makeTar([
    { name: 'bin/', type: '5' },
    { name: 'bin/tool', mode: 0o755, data: `#!/bin/sh\necho ${text}\n` },
    { name: 'etc/', type: '5', mode: 0o750, uid: 7, gid: 8 },
    { name: 'etc/name', data: text },
    { name: 'etc/old', data: 'old' },
    { name: 'data/', type: '5' },
    { name: 'data/a', data: 'a' },
    { name: 'data/b', data: 'b' },
  ])
}
