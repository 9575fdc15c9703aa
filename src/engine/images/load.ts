import { Readable } from 'node:stream'
import { mapConcurrent } from '../../base/concurrency.ts'
import { type Digest, digestOf, hexOf, isDigest, shortId } from '../../base/digest.ts'
import { TcomposeError, throwIfAborted } from '../../base/errors.ts'
import type { Emit } from '../../base/progress.ts'
import { familiarReference, formatReference, parseReference, withDefaultTag } from '../../base/reference.ts'
import { decompressed, detectCompression, forUnpacking } from '../content/compression.ts'
import { choosePlatform, type Descriptor, hostPlatform, parseManifest } from '../content/manifest.ts'
import { bringLayer } from '../layers/bring.ts'
import { chainIds } from '../layers/chain.ts'
import type { Layer, Layers, UnpackedLayer } from '../layers/types.ts'
import type { Database } from '../state/database.ts'
import { type ArchiveEntry, type IndexedArchive, indexArchive, streamArchive } from './archive.ts'
import { parseConfig } from './records.ts'

const MAX_DOCUMENT = 16 << 20
const MAX_DOCUMENTS = 128 << 20
const PARALLEL = 3

/** An image as an archive describes it: its layers are names of entries, bottom first. */
interface ArchivedImage {
  readonly config: Uint8Array
  readonly layers: readonly { readonly entry: string; readonly size?: number }[]
  /** Full references. */
  readonly references: readonly string[]
}

export interface LoadDeps {
  readonly db: Database
  readonly layers: Layers
  /** Registers a whole image and its references in one transaction; gives the id. */
  register(config: Uint8Array, layers: readonly Layer[], references: readonly string[]): Promise<Digest>
}

/**
 * Loads every image of a Docker or OCI archive. Layers are unpacked while the archive is read; nothing becomes an image
 * before all its layers are here and match the digests that its config names.
 * @returns familiar references; the id for an image without one
 */
export async function loadArchive(
  deps: LoadDeps,
  archive: Readable,
  emit: Emit,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  throwIfAborted(signal)
  using indexed = indexArchive(archive)
  await using stack = new AsyncDisposableStack()
  const sources = indexed ? fromIndex(deps, indexed, signal) : await fromStream(deps, archive, stack, signal)
  const loaded: string[] = []
  const images = describeImages(sources.documents)
  for (const image of images) {
    const config = parseConfig(image.config)
    const diffIds = config.rootfs.diff_ids
    if (diffIds.length !== image.layers.length) {
      throw new TcomposeError(
        'INVALID',
        `the image has ${image.layers.length} layers and its config names ${diffIds.length}`,
      )
    }
    const layers = await bringLayers(deps, sources, stack, image, diffIds, emit, signal)
    const id = await deps.register(image.config, layers, image.references)
    const names = image.references.map((name) => familiarReference(parseReference(name)))
    loaded.push(...(names.length > 0 ? names : [id]))
  }
  return loaded
}

interface Sources {
  /** Small entries: manifests and configs. */
  readonly documents: Documents
  /** Unpacks the layer in the entry of that name. */
  unpack(name: string, size: number | undefined): Promise<UnpackedLayer>
}

interface Documents {
  find(name: string): Buffer | undefined
}

/** Unpacks what is missing, in parallel, and adopts what needs others from the bottom to the top. */
async function bringLayers(
  deps: LoadDeps,
  sources: Sources,
  stack: AsyncDisposableStack,
  image: ArchivedImage,
  diffIds: readonly Digest[],
  emit: Emit,
  signal: AbortSignal | undefined,
): Promise<readonly Layer[]> {
  const chains = chainIds(diffIds)
  const sourceOf = (index: number) => image.layers[index] as ArchivedImage['layers'][number]
  const unpack = async (index: number) => {
    const { entry, size } = sourceOf(index)
    emit({ id: shortId(diffIds[index] as Digest), status: 'working', text: 'Loading layer' })
    return stack.use(await sources.unpack(entry, size))
  }
  const brought = await mapConcurrent(diffIds, PARALLEL, async (diffId, index) => {
    throwIfAborted(signal)
    if (diffIds.indexOf(diffId) !== index) return undefined
    const chainId = chains[index] as Digest
    const { entry: name } = sourceOf(index)
    const request = {
      layers: deps.layers,
      lockScope: deps.db.secret,
      diffId,
      chainId,
      name,
      unpack: () => unpack(index),
    }
    return await bringLayer(request, signal)
  })
  const layers: Layer[] = []
  for (const [index, diffId] of diffIds.entries()) {
    const one = brought[index]
    let layer = deps.layers.find(diffId, chains[index] as Digest)
    // The same layer twice in one image needs unpacking again only if it depends on what is below.
    if (!layer) {
      const held = one?.kind === 'dependent' ? one.unpacked : await unpack(index)
      layer = await deps.layers.adopt(held, layers, signal)
    }
    emit({ id: shortId(diffId), status: 'done', text: 'Loaded' })
    layers.push(layer)
  }
  return layers
}

function fromIndex(deps: LoadDeps, archive: IndexedArchive, signal: AbortSignal | undefined): Sources {
  const entryOf = (name: string, depth = 0): (ArchiveEntry & { readonly offset: number }) | undefined => {
    const entry = archive.entries.get(name)
    return entry?.kind === 'link' && depth < 8 ? entryOf(entry.target, depth + 1) : entry
  }
  return {
    documents: {
      find(name) {
        const entry = entryOf(name)
        return entry?.kind === 'file' ? archive.read(entry, MAX_DOCUMENT) : undefined
      },
    },
    async unpack(name, size) {
      const entry = entryOf(name)
      if (entry?.kind !== 'file') throw missing(name)
      checkSize(name, entry.size, size)
      const slice = archive.slice(entry)
      const head = archive.read({ ...entry, size: Math.min(entry.size, 6) }, 6)
      const compression = detectCompression(head)
      if (compression === 'none' || compression === 'gzip') return await deps.layers.unpack(slice, signal)
      const { createReadStream } = await import('node:fs')
      const raw = createReadStream('', {
        fd: slice.fd,
        start: slice.offset,
        end: slice.offset + slice.length - 1,
        autoClose: false,
        highWaterMark: 1 << 18,
      })
      return await deps.layers.unpack((await decompressed(raw)).stream, signal)
    },
  }
}

/** Takes in a whole stream: documents into memory, layers unpacked aside, since what they are for comes at its end. */
async function fromStream(
  deps: LoadDeps,
  archive: Readable,
  stack: AsyncDisposableStack,
  signal: AbortSignal | undefined,
): Promise<Sources> {
  const documents = new Map<string, Buffer>()
  const aliases = new Map<string, string>()
  const layers = new Map<string, { readonly layer: UnpackedLayer; readonly size: number }>()
  let documentBytes = 0
  const outer = (await decompressed(archive)).stream
  for await (const entry of streamArchive(outer)) {
    throwIfAborted(signal)
    if (entry.kind === 'link') aliases.set(entry.name, entry.target)
    if (entry.kind !== 'file' || isKnown(deps, entry.name)) continue
    const content = entry.content[Symbol.asyncIterator]()
    const first = await content.next()
    const head = first.done ? Buffer.alloc(0) : first.value
    const start = head.toString('latin1', 0, 1)
    if (entry.size <= MAX_DOCUMENT && (start === '{' || start === '[')) {
      const parts = [head]
      for (let next = await content.next(); !next.done; next = await content.next()) parts.push(next.value)
      documentBytes += entry.size
      if (documentBytes > MAX_DOCUMENTS) throw new TcomposeError('INVALID', 'broken image archive: too many documents')
      documents.set(entry.name, Buffer.concat(parts))
      continue
    }
    if (!looksLikeLayer(entry.name)) continue
    async function* whole(): AsyncGenerator<Buffer> {
      if (head.length > 0) yield head
      for (let next = await content.next(); !next.done; next = await content.next()) yield next.value
    }
    const bytes = await forUnpacking(Readable.from(whole(), { objectMode: false }))
    layers.set(entry.name, { layer: stack.use(await deps.layers.unpack(bytes, signal)), size: entry.size })
  }
  const resolve = (name: string, depth = 0): string => {
    const target = aliases.get(name)
    return target === undefined || depth > 8 ? name : resolve(target, depth + 1)
  }
  return {
    documents: { find: (name) => documents.get(resolve(name)) },
    async unpack(name, size) {
      const held = layers.get(resolve(name))
      if (!held) throw missing(name)
      checkSize(name, held.size, size)
      return held.layer
    },
  }
}

/** Entries named by the digest of an uncompressed layer that is here already need no reading. */
function isKnown(deps: LoadDeps, name: string): boolean {
  const hex = /^(?:blobs\/sha256\/)?([0-9a-f]{64})(?:\.tar)?$/.exec(name)?.[1]
  const digest = `sha256:${hex}`
  return hex !== undefined && isDigest(digest) && deps.layers.find(digest, digest) !== undefined
}

function looksLikeLayer(name: string): boolean {
  return /(^|\/)layer\.tar$|\.tar(\.gz|\.zst)?$|^blobs\/sha256\/[0-9a-f]{64}$/.test(name)
}

function describeImages(documents: Documents): readonly ArchivedImage[] {
  const docker = documents.find('manifest.json')
  if (docker) return dockerImages(docker, documents)
  const index = documents.find('index.json')
  if (index) return ociImages(index, documents)
  throw new TcomposeError('INVALID', 'this is no image archive: it has neither manifest.json nor index.json', {
    hint: 'for the tar of a root file system use `tcompose image import`',
  })
}

function dockerImages(manifest: Buffer, documents: Documents): readonly ArchivedImage[] {
  let list: unknown
  try {
    list = JSON.parse(manifest.toString())
  } catch (cause) {
    throw new TcomposeError('INVALID', 'broken image archive: manifest.json is no JSON', { cause })
  }
  if (!Array.isArray(list)) throw new TcomposeError('INVALID', 'broken image archive: manifest.json is no list')
  return list.map((item: { Config?: unknown; Layers?: unknown; RepoTags?: unknown }) => {
    const name = String(item?.Config)
    const layers = Array.isArray(item?.Layers) ? item.Layers.map(String) : []
    const config = documents.find(name)
    if (!config) throw missing(name)
    const digest = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(name)?.[1]
    if (digest !== undefined && hexOf(digestOf(config)) !== digest) {
      throw new TcomposeError('CORRUPT', `${name} does not match its digest`)
    }
    const tags = Array.isArray(item?.RepoTags) ? item.RepoTags.map(String) : []
    return { config, layers: layers.map((entry) => ({ entry })), references: tags.map(fullReference) }
  })
}

function ociImages(index: Buffer, documents: Documents): readonly ArchivedImage[] {
  const document = parseManifest(index, 'index.json')
  const tops = document.kind === 'index' ? document.manifests : []
  const images = tops.flatMap((top) => {
    if (top.annotations?.['vnd.docker.reference.type'] !== undefined) return []
    return [ociImage(top, documents)]
  })
  if (images.length === 0) throw new TcomposeError('INVALID', 'the archive holds no image')
  return images
}

function ociImage(top: Descriptor, documents: Documents): ArchivedImage {
  let descriptor = top
  for (let depth = 0; ; depth++) {
    const manifest = parseManifest(blob(descriptor, documents), descriptor.digest)
    if (manifest.kind === 'manifest') {
      return {
        config: blob(manifest.config, documents),
        layers: manifest.layers.map((layer) => ({ entry: blobName(layer.digest), size: layer.size })),
        references: ociReferences(top),
      }
    }
    const chosen = choosePlatform(manifest.manifests, hostPlatform())
    if (!chosen || depth > 4) {
      throw new TcomposeError(
        'NOT_FOUND',
        `the archive has no image for ${hostPlatform().os}/${hostPlatform().architecture}`,
      )
    }
    descriptor = chosen
  }
}

function ociReferences(descriptor: Descriptor): readonly string[] {
  const name = descriptor.annotations?.['io.containerd.image.name']
  const ref = descriptor.annotations?.['org.opencontainers.image.ref.name']
  if (name !== undefined) return [fullReference(name)]
  // By the specification it may be a bare tag, which names no image.
  return ref !== undefined && /[:/]/.test(ref) ? [fullReference(ref)] : []
}

function blob(descriptor: Descriptor, documents: Documents): Buffer {
  const name = blobName(descriptor.digest)
  const data = documents.find(name)
  if (!data) throw missing(name)
  checkSize(name, data.length, descriptor.size)
  if (digestOf(data) !== descriptor.digest) throw new TcomposeError('CORRUPT', `${name} does not match its digest`)
  return data
}

function blobName(digest: Digest): string {
  return `blobs/sha256/${hexOf(digest)}`
}

function checkSize(name: string, actual: number, expected: number | undefined): void {
  if (expected === undefined || actual === expected) return
  throw new TcomposeError('CORRUPT', `${name} has ${actual} bytes instead of ${expected}`)
}

function missing(name: string): TcomposeError {
  return new TcomposeError('INVALID', `broken image archive: ${name} is missing`)
}

function fullReference(text: string): string {
  return formatReference(withDefaultTag(parseReference(text)))
}
