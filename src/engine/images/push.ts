import { Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import { mapConcurrent } from '../../base/concurrency.ts'
import { type Digest, digestOf, shortId } from '../../base/digest.ts'
import { TcomposeError } from '../../base/errors.ts'
import { formatReference, parseReference, withDefaultTag } from '../../base/reference.ts'
import { type Descriptor, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from '../content/manifest.ts'
import type { Layer } from '../layers/types.ts'
import { connectRepository } from '../registry/connect.ts'
import type { RepositoryClient } from '../registry/types.ts'
import { knownBlobs, recordBlob } from './blob-sources.ts'
import type { ImageStore } from './images.ts'
import type { Images } from './types.ts'

const PARALLEL = 3
const GZIP_LAYER = `${OCI_LAYER}+gzip`
const PROGRESS_MS = 100

/** Pushes the image under its name. Blobs that the repository has are not sent. @returns the manifest's digest */
export async function pushImage(
  store: ImageStore,
  ref: string,
  options: Parameters<Images['push']>[1],
): Promise<Digest> {
  const reference = withDefaultTag(parseReference(ref))
  if (reference.tag === undefined) throw new TcomposeError('INVALID', `cannot push a digest reference: ${ref}`)
  const image = store.records.find(formatReference(reference))
  if (!image) {
    throw new TcomposeError('NOT_FOUND', `an image does not exist locally with the tag: ${ref}`)
  }
  const config = store.records.config(image.id)
  const layers = store.layersOf(image.id)
  const { client } = await connectRepository(reference, { ...options, env: store.env, action: 'push' }, (candidate) =>
    candidate.hasBlob(image.id),
  )
  await using _client = client
  const descriptors = await mapConcurrent(layers, PARALLEL, async (layer, index) => {
    // The same layer twice in an image is sent once.
    if (layers.findIndex((each) => each.diffId === layer.diffId) !== index) return undefined
    return await pushLayer(store, client, layers, index, ref, options)
  })
  const byDiffId = new Map(descriptors.flatMap((each, index) => (each ? [[layers[index]?.diffId, each]] : [])))
  await pushConfig(client, image.id, config)
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: OCI_CONFIG, digest: image.id, size: config.length },
      layers: layers.map((layer) => byDiffId.get(layer.diffId)),
    }),
  )
  await client.putManifest(reference.tag, OCI_MANIFEST, manifest)
  const digest = digestOf(manifest)
  store.db.transaction(() => store.records.tag(formatReference({ ...reference, tag: undefined, digest }), image.id))
  store.db.flush()
  options.emit({
    id: `Image ${ref}`,
    status: 'done',
    text: 'Pushed',
    details: `digest: ${digest} size: ${manifest.length}`,
  })
  return digest
}

async function pushConfig(client: RepositoryClient, id: Digest, config: Uint8Array): Promise<void> {
  if (await client.hasBlob(id)) return
  await client.uploadBlob(
    () => Readable.from([Buffer.from(config)], { objectMode: false }),
    () => {},
  )
}

async function pushLayer(
  store: ImageStore,
  client: RepositoryClient,
  layers: readonly Layer[],
  index: number,
  ref: string,
  options: Parameters<Images['push']>[1],
): Promise<Descriptor> {
  const layer = layers[index] as Layer
  const { domain, path } = client.reference
  const report = (status: 'working' | 'done', text: string, bytes?: number) =>
    options.emit({
      id: shortId(layer.diffId),
      parentId: `Image ${ref}`,
      status,
      text,
      ...(bytes === undefined ? {} : { current: bytes, total: layer.tarBytes }),
    })
  report('working', 'Preparing')
  const known = knownBlobs(store.db, layer.diffId, domain)
  for (const blob of known) {
    const descriptor = { mediaType: ociMediaType(blob.mediaType), digest: blob.digest, size: blob.sizeBytes }
    const remember = () => recordBlob(store.db, { descriptor, diffId: layer.diffId, domain, path })
    if (await client.hasBlob(blob.digest)) {
      remember()
      report('done', 'Layer already exists')
      return descriptor
    }
    const sources = blob.repositories
      .filter((name) => name.startsWith(`${domain}/`))
      .map((name) => name.slice(domain.length + 1))
    for (const from of sources.filter((name) => name !== path).slice(0, 3)) {
      if (!(await client.mountBlob(blob.digest, from))) continue
      remember()
      report('done', 'Mounted from', undefined)
      return descriptor
    }
  }
  let shownAt = 0
  let sourceBytes = 0
  const open = (): Readable => {
    sourceBytes = 0
    const tar = store.layers.tar(layer, layers.slice(0, index), options.signal)
    const gzip = createGzip({ chunkSize: 1 << 18 })
    tar.on('data', (chunk: Buffer) => {
      sourceBytes += chunk.length
    })
    tar.once('error', (error) => gzip.destroy(error))
    gzip.once('close', () => tar.destroy())
    return tar.pipe(gzip)
  }
  const sent = await client.uploadBlob(open, () => {
    const now = Date.now()
    if (now - shownAt < PROGRESS_MS) return
    shownAt = now
    report('working', 'Pushing', sourceBytes)
  })
  const descriptor = { mediaType: GZIP_LAYER, digest: sent.digest, size: sent.sizeBytes }
  recordBlob(store.db, { descriptor, diffId: layer.diffId, domain, path })
  report('done', 'Pushed')
  return descriptor
}

/** Docker's names of layer types in OCI's words; an OCI manifest must not mix them. */
function ociMediaType(mediaType: string): string {
  if (mediaType === 'application/vnd.docker.image.rootfs.diff.tar.gzip') return GZIP_LAYER
  if (mediaType === 'application/vnd.docker.image.rootfs.diff.tar') return OCI_LAYER
  return mediaType
}
