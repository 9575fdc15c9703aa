import type { Readable, Writable } from 'node:stream'
import { type Digest, digestOf, hexOf } from '../../base/digest.ts'
import { familiarName, familiarReference, parseReference, withDefaultTag } from '../../base/reference.ts'
import { type Descriptor, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST } from '../content/manifest.ts'
import type { Layer } from '../layers/types.ts'
import type { ImageStore } from './images.ts'
import type { Image } from './types.ts'

const BLOCK = 512

/**
 * Writes images as one tar: an OCI layout with uncompressed layers; format `docker` adds manifest.json and repositories,
 * by which Docker reads the same blobs. A reference by id saves the image without a name, by name with that name alone.
 */
export async function saveArchive(
  store: ImageStore,
  refs: readonly string[],
  out: Writable,
  format: 'docker' | 'oci',
): Promise<void> {
  const wanted = new Map<Digest, { readonly image: Image; readonly names: Set<string> }>()
  for (const ref of refs) {
    const image = store.records.get(ref)
    const entry = wanted.get(image.id) ?? { image, names: new Set<string>() }
    wanted.set(image.id, entry)
    const name = nameIn(image, ref)
    if (name !== undefined) entry.names.add(name)
  }
  const tar = createTarWriter(out)
  await tar.directory('blobs/')
  await tar.directory('blobs/sha256/')
  const written = new Set<Digest>()
  const manifests: Descriptor[] = []
  const dockerList: object[] = []
  for (const { image, names } of wanted.values()) {
    const layers = store.layersOf(image.id)
    for (const [index, layer] of layers.entries()) {
      if (written.has(layer.diffId)) continue
      written.add(layer.diffId)
      await tar.stream(blobPath(layer.diffId), layer.tarBytes, store.layers.tar(layer, layers.slice(0, index)))
    }
    const config = store.records.config(image.id)
    const manifest = Buffer.from(JSON.stringify(manifestOf(image, config, layers)))
    for (const data of [config, manifest]) {
      const digest = digestOf(data)
      if (!written.has(digest)) await tar.file(blobPath(digest), data)
      written.add(digest)
    }
    const descriptor: Descriptor = { mediaType: OCI_MANIFEST, digest: digestOf(manifest), size: manifest.length }
    if (names.size === 0) manifests.push(descriptor)
    for (const name of names) manifests.push({ ...descriptor, annotations: annotationsOf(name) })
    dockerList.push({
      Config: blobPath(image.id),
      RepoTags: names.size > 0 ? [...names] : null,
      Layers: layers.map((layer) => blobPath(layer.diffId)),
    })
  }
  await tar.file('index.json', JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }))
  if (format === 'docker') {
    await tar.file('manifest.json', JSON.stringify(dockerList))
    await tar.file('repositories', JSON.stringify(repositories([...wanted.values()])))
  }
  await tar.file('oci-layout', '{"imageLayoutVersion":"1.0.0"}')
  await tar.end()
}

/** The name under which `ref` asks for the image: `name:tag`, or undefined for an id or a digest. */
function nameIn(image: Image, ref: string): string | undefined {
  try {
    const name = familiarReference({ ...withDefaultTag(parseReference(ref)), digest: undefined })
    return image.tags.includes(name) ? name : undefined
  } catch {
    return undefined
  }
}

/** The OCI manifest of an image with its layers uncompressed. */
export function manifestOf(image: Image, config: Uint8Array, layers: readonly Layer[]): object {
  return {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: OCI_CONFIG, digest: image.id, size: config.length },
    layers: layers.map((layer) => ({ mediaType: OCI_LAYER, digest: layer.diffId, size: layer.tarBytes })),
  }
}

function annotationsOf(name: string): Readonly<Record<string, string>> {
  const reference = parseReference(name)
  return {
    'io.containerd.image.name': `${reference.domain}/${reference.path}:${reference.tag}`,
    'org.opencontainers.image.ref.name': reference.tag as string,
  }
}

function repositories(saved: readonly { readonly image: Image; readonly names: ReadonlySet<string> }[]): object {
  const list: Record<string, Record<string, string>> = {}
  for (const { image, names } of saved) {
    for (const name of names) {
      const reference = parseReference(name)
      const repository = familiarName(reference)
      list[repository] ??= {}
      const top = image.config.rootfs.diff_ids.at(-1)
      list[repository][reference.tag as string] = hexOf(top ?? image.id)
    }
  }
  return list
}

function blobPath(digest: Digest): string {
  return `blobs/sha256/${hexOf(digest)}`
}

/** A plain ustar writer for short names; waits while the reader is slower. */
function createTarWriter(out: Writable) {
  let failure: Error | undefined
  out.once('error', (error) => {
    failure = error
  })
  const write = async (data: Uint8Array) => {
    if (failure) throw failure
    if (!out.write(data)) await drained(out)
    if (failure) throw failure
    if (out.destroyed) throw new Error('the reader of the archive has gone')
  }
  const pad = (size: number) => write(Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK))
  return {
    directory: (name: string) => write(header(name, 0, '5')),
    async file(name: string, content: string | Uint8Array) {
      const data = typeof content === 'string' ? Buffer.from(content) : content
      await write(header(name, data.length, '0'))
      await write(data)
      await pad(data.length)
    },
    async stream(name: string, size: number, content: Readable) {
      await write(header(name, size, '0'))
      let done = 0
      for await (const chunk of content) {
        done += (chunk as Buffer).length
        await write(chunk as Buffer)
      }
      if (done !== size) throw new Error(`${name} gave ${done} bytes instead of ${size}`)
      await pad(size)
    },
    async end() {
      await write(Buffer.alloc(2 * BLOCK))
      // This process's own stdout stays open.
      if (out === process.stdout) return
      await new Promise<void>((resolve, reject) => {
        out.once('error', reject)
        out.end(() => resolve())
      })
    },
  }
}

function drained(out: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      out.off('drain', done)
      out.off('close', done)
      resolve()
    }
    out.on('drain', done)
    out.on('close', done)
  })
}

/** Times are zero: the same images give the same archive. */
function header(name: string, size: number, type: '0' | '5'): Buffer {
  const block = Buffer.alloc(BLOCK)
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0')
  block.write(name, 0, 'latin1')
  block.write(octal(type === '5' ? 0o755 : 0o644, 7), 100, 'latin1')
  block.write(octal(0, 7), 108, 'latin1')
  block.write(octal(0, 7), 116, 'latin1')
  // Twelve digits of octal end at 8 GiB; larger sizes are written in base 256.
  if (size < 0o100000000000) block.write(octal(size, 11), 124, 'latin1')
  else {
    block[124] = 0x80
    block.writeUIntBE(size, 130, 6)
  }
  block.write(octal(0, 11), 136, 'latin1')
  block.write(type, 156, 'latin1')
  block.write('ustar\x0000', 257, 'latin1')
  block.fill(' ', 148, 156)
  let sum = 0
  for (const byte of block) sum += byte
  block.write(`${octal(sum, 6)}\0 `, 148, 'latin1')
  return block
}
