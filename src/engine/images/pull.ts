import { createLimiter } from '../../base/concurrency.ts'
import { type Digest, shortId } from '../../base/digest.ts'
import { isTcomposeError, TcomposeError } from '../../base/errors.ts'
import {
  familiarReference,
  formatReference,
  parseReference,
  type Reference,
  withDefaultTag,
} from '../../base/reference.ts'
import { forUnpacking } from '../content/compression.ts'
import {
  choosePlatform,
  type Descriptor,
  formatPlatform,
  hostPlatform,
  type Platform,
  parseManifest,
  parsePlatform,
} from '../content/manifest.ts'
import { downloadResumably } from '../content/partial.ts'
import { type BroughtLayer, bringLayer } from '../layers/bring.ts'
import { chainIds } from '../layers/chain.ts'
import type { Layer, UnpackedLayer } from '../layers/types.ts'
import { connectRepository } from '../registry/connect.ts'
import type { FetchedManifest, RepositoryClient } from '../registry/types.ts'
import { recordBlob } from './blob-sources.ts'
import type { ImageStore } from './images.ts'
import { parseConfig } from './records.ts'
import type { Image, PullOptions } from './types.ts'

const PARALLEL = 4
const PROGRESS_MS = 100

/**
 * Pulls an image. Layers that are here are not fetched; those that another process is fetching are waited for. Nothing
 * becomes visible before everything is here and checked.
 */
export async function pullImage(store: ImageStore, ref: string, options: PullOptions): Promise<Image> {
  const reference = withDefaultTag(parseReference(ref))
  const platform = options.platform === undefined ? hostPlatform() : parsePlatform(options.platform)
  const { env } = store
  const { client, result: top } = await connectRepository(
    reference,
    { env, action: 'pull', insecure: options.insecure, signal: options.signal, credentials: options.credentials },
    (candidate) => candidate.manifest(reference.digest ?? (reference.tag as string)),
  )
  await using _client = client
  const manifest = await imageManifest(client, top, platform, familiarReference(reference))
  const names = namesFor(reference, top.digest)
  const present = store.records.byId(manifest.config.digest)
  if (present) {
    store.db.transaction(() => {
      for (const name of names) store.records.tag(name, present.id)
    })
    store.db.flush()
    options.emit({ id: `Image ${ref}`, status: 'done', text: 'Image is up to date' })
    return store.records.byId(present.id) as Image
  }
  const config = await client.smallBlob(manifest.config)
  const diffIds = parseConfig(config).rootfs.diff_ids
  if (diffIds.length !== manifest.layers.length) {
    throw new TcomposeError(
      'CORRUPT',
      `${ref}: the manifest has ${manifest.layers.length} layers, the config ${diffIds.length}`,
    )
  }
  const layers = await pullLayers(store, client, manifest.layers, diffIds, ref, options)
  const id = await store.register(config, layers, names)
  return store.records.byId(id) as Image
}

/** The tag and the digest by which the image is known from now on. */
function namesFor(reference: Reference, digest: Digest): readonly string[] {
  const byDigest = formatReference({ ...reference, tag: undefined, digest })
  return reference.digest === undefined ? [formatReference(reference), byDigest] : [byDigest]
}

/** Follows indexes to the manifest for a platform. */
async function imageManifest(
  client: RepositoryClient,
  top: FetchedManifest,
  platform: Platform,
  shown: string,
): Promise<{ readonly config: Descriptor; readonly layers: readonly Descriptor[] }> {
  let fetched = top
  for (let depth = 0; depth < 4; depth++) {
    const document = parseManifest(fetched.bytes, shown)
    if (document.kind === 'manifest') return document
    const chosen = choosePlatform(document.manifests, platform)
    if (!chosen) {
      const offered = document.manifests.flatMap((each) => (each.platform ? [formatPlatform(each.platform)] : []))
      throw new TcomposeError(
        'NOT_FOUND',
        `no matching manifest for ${formatPlatform(platform)} in the manifest list entries of ${shown}`,
        {
          hint: `there are: ${offered.filter((name) => !name.startsWith('unknown/')).join(', ') || 'none'}`,
        },
      )
    }
    fetched = await client.manifest(chosen.digest)
  }
  throw new TcomposeError('INVALID', `${shown}: its indexes are nested too deeply`)
}

async function pullLayers(
  store: ImageStore,
  client: RepositoryClient,
  descriptors: readonly Descriptor[],
  diffIds: readonly Digest[],
  ref: string,
  options: PullOptions,
): Promise<readonly Layer[]> {
  const chains = chainIds(diffIds)
  const limiter = createLimiter(PARALLEL)
  const abort = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, abort.signal]) : abort.signal
  await using stack = new AsyncDisposableStack()
  const report = (index: number, text: string, rest: { current?: number; total?: number; done?: boolean } = {}) =>
    options.emit({
      id: shortId((descriptors[index] as Descriptor).digest),
      parentId: `Image ${ref}`,
      status: rest.done ? 'done' : 'working',
      text,
      ...(rest.current === undefined ? {} : { current: rest.current, total: rest.total ?? 0 }),
    })
  for (const index of descriptors.keys()) report(index, 'Pulling fs layer')

  const fetchLayer = async (index: number): Promise<BroughtLayer> => {
    const diffId = diffIds[index] as Digest
    const descriptor = descriptors[index] as Descriptor
    const brought = await bringLayer(
      {
        layers: store.layers,
        lockScope: store.db.secret,
        diffId,
        chainId: chains[index] as Digest,
        name: descriptor.digest,
        onWait: () => report(index, 'Waiting'),
        async unpack() {
          const progress = (text: string, current: number) => report(index, text, { current, total: descriptor.size })
          return stack.use(await downloadLayer(store, client, descriptor, progress, signal))
        },
      },
      signal,
    )
    if (brought.kind === 'present') report(index, 'Already exists', { done: true })
    else recordBlob(store.db, { descriptor, diffId, domain: client.reference.domain, path: client.reference.path })
    return brought
  }

  const fetches = diffIds.map((_, index) => limiter.run(() => fetchLayer(index)))
  for (const fetch of fetches) fetch.catch((error: unknown) => abort.abort(error))
  try {
    const layers: Layer[] = []
    for (const [index, fetch] of fetches.entries()) {
      const brought = await fetch
      // A layer that was the bottom of an image may need adopting here, and may be there already.
      const known = store.layers.find(diffIds[index] as Digest, chains[index] as Digest)
      if (brought.kind !== 'dependent') layers.push(brought.layer)
      else layers.push(known ?? (await store.layers.adopt(brought.unpacked, layers, signal)))
      if (brought.kind !== 'present') report(index, 'Pull complete', { done: true })
    }
    return layers
  } catch (error) {
    abort.abort(error)
    // What was begun ends before its temporary directories go; the first real failure is the one that is told.
    const outcomes = await Promise.allSettled(fetches)
    const reasons = outcomes.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []))
    throw reasons.find((reason) => !isTcomposeError(reason, 'CANCELED')) ?? error
  }
}

async function downloadLayer(
  store: ImageStore,
  client: RepositoryClient,
  descriptor: Descriptor,
  report: (text: string, current: number) => void,
  signal: AbortSignal,
): Promise<UnpackedLayer> {
  if (/foreign|nondistributable/.test(descriptor.mediaType)) {
    throw new TcomposeError(
      'UNSUPPORTED',
      `layer ${descriptor.digest} must be fetched from elsewhere, which is not supported`,
    )
  }
  let shownAt = 0
  const download = downloadResumably(store.paths, {
    digest: descriptor.digest,
    size: descriptor.size,
    fetch: (offset) => client.blob(descriptor, offset),
    onProgress(current) {
      const now = Date.now()
      if (now - shownAt < PROGRESS_MS && current < descriptor.size) return
      shownAt = now
      report(current < descriptor.size ? 'Downloading' : 'Extracting', current)
    },
  })
  let unpacked: UnpackedLayer
  try {
    unpacked = await store.layers.unpack(await forUnpacking(download.stream), signal)
  } catch (error) {
    if (isTcomposeError(error, 'INVALID') || isTcomposeError(error, 'CORRUPT')) await download.discard()
    throw error
  }
  if ((download.digest() ?? unpacked.inputDigest) === descriptor.digest) return unpacked
  await unpacked[Symbol.asyncDispose]()
  throw new TcomposeError('CORRUPT', `blob ${descriptor.digest} does not match its digest`, {
    hint: 'the registry or something on the way to it damages what it sends; the image was not taken',
  })
}
