import { createReadStream, existsSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Digest } from '../../base/digest.ts'
import { isTcomposeError, TcomposeError } from '../../base/errors.ts'
import { silent } from '../../base/progress.ts'
import { parseReference } from '../../base/reference.ts'
import { unpackTar } from '../../runtime/fs-worker.ts'
import { forUnpacking } from '../content/compression.ts'
import { makeTemporary } from '../content/temporary.ts'
import type { Image } from '../images/types.ts'
import { chainIds } from '../layers/chain.ts'
import { formatPlatform } from './build-args.ts'
import type { BuildRun, External } from './build-run.ts'
import { createContextTree } from './context-tree.ts'
import { createFileDigests } from './file-digests.ts'
import { readIgnore } from './load-dockerfile.ts'
import { fetchGit } from './remote-git.ts'
import { fetchUrl } from './remote-url.ts'
import { scratchState } from './stage-state.ts'
import type { BuildContext } from './types.ts'

type Deps = Pick<
  BuildRun,
  'db' | 'paths' | 'layers' | 'images' | 'env' | 'request' | 'platform' | 'signal' | 'emit' | 'onEvent'
>

/** A named context, or else an image from here or its registry. @throws TcomposeError NOT_FOUND */
export async function loadExternal(run: Deps, name: string, undo: AsyncDisposableStack): Promise<External> {
  const key = Object.keys(run.request.contexts ?? {}).find((each) => each.toLowerCase() === name.toLowerCase())
  const context = key === undefined ? undefined : run.request.contexts?.[key]
  if (!context) return await loadImage(run, name)
  switch (context.kind) {
    case 'image':
      return await loadImage(run, context.reference)
    case 'oci-layout':
      throw new TcomposeError('UNSUPPORTED', `build context ${name}: oci-layout directories are not supported`, {
        hint: `load it first (tcompose image load) and use docker-image://`,
      })
    default: {
      const root = await contextDirectory(run, context, undo)
      const ignore = readIgnore(root, undefined)
      return {
        kind: 'directory',
        tree: createContextTree({
          root,
          ignore,
          digests: createFileDigests(run.db),
          description: `the build context ${name}`,
        }),
      }
    }
  }
}

/** A context as a directory of this host; what had to be fetched goes away with `undo`. */
export async function contextDirectory(run: Deps, context: BuildContext, undo: AsyncDisposableStack): Promise<string> {
  switch (context.kind) {
    case 'directory':
      if (!existsSync(context.path)) {
        throw new TcomposeError('NOT_FOUND', `unable to prepare context: path ${context.path} not found`)
      }
      return context.path
    case 'git': {
      const checkout = undo.use(
        await fetchGit(run, context.url, { checksum: '', keepGitDir: undefined, submodules: true }),
      )
      return checkout.path
    }
    case 'tar':
      return await unpackContext(run, context.stream, undo)
    case 'url': {
      const file = undo.use(await fetchUrl(run, context.url, { checksum: '', named: false }))
      return await unpackContext(run, createReadStream(file.path), undo)
    }
    default:
      throw new TcomposeError('INVALID', 'an image cannot be the build context')
  }
}

/** A tar, or one Dockerfile on its own. */
async function unpackContext(run: Deps, stream: Readable, undo: AsyncDisposableStack): Promise<string> {
  const temporary = undo.use(makeTemporary(run.paths))
  const { peek } = await import('../content/compression.ts')
  const { head, stream: whole } = await peek(stream, 512)
  const magic = Buffer.from(head)
  const looksLikeText =
    head.length > 0 && !magic.includes(0) && magic[0] !== 0x1f && magic[0] !== 0x28 && magic[0] !== 0xfd
  if (looksLikeText && magic.toString('latin1', 0, 3) !== 'BZh') {
    const { createWriteStream } = await import('node:fs')
    await pipeline(whole, createWriteStream(`${temporary.path}/Dockerfile`), { signal: run.signal })
    return temporary.path
  }
  const target = { kind: 'directory', path: temporary.path } as const
  await unpackTar(target, '/', await forUnpacking(whole), { mode: 'plain' }, run.signal)
  return temporary.path
}

async function loadImage(run: Deps, reference: string): Promise<External> {
  if (reference === 'scratch') return { kind: 'image', id: '', layers: [], state: scratchState() }
  const image = await findImage(run, reference)
  const diffIds = image.config.rootfs.diff_ids
  const chains = chainIds(diffIds)
  const layers = diffIds.map(
    (diffId, index) => run.layers.find(diffId, chains[index] as Digest) ?? run.layers.get(diffId),
  )
  const { config } = image
  return {
    kind: 'image',
    id: image.id,
    layers,
    state: {
      layers,
      config: config.config ?? {},
      author: config.author,
      history: config.history ?? [],
      args: new Map(),
      commandSet: false,
    },
  }
}

async function findImage(run: Deps, reference: string): Promise<Image> {
  const fits = (image: Image) =>
    image.config.architecture === run.platform.architecture && image.config.os === run.platform.os
  const local = run.request.pull ? undefined : await run.images.find(reference)
  if (local && fits(local)) return local
  const name = `[internal] load metadata for ${reference}`
  run.onEvent({ kind: 'step', id: `image ${reference}`, name, state: 'started' })
  try {
    const image = await run.images.pull(reference, {
      emit: silent,
      platform: formatPlatform(run.platform),
      signal: run.signal,
      credentials: run.request.credentials?.[parseReference(reference).domain],
    })
    run.onEvent({ kind: 'step', id: `image ${reference}`, name, state: 'done' })
    return image
  } catch (error) {
    run.onEvent({ kind: 'step', id: `image ${reference}`, name, state: 'error', error: String(error) })
    if (local) return local
    // An image that was only built here has no registry to be pulled from.
    if (run.request.pull && !isTcomposeError(error, 'CANCELED')) {
      const kept = await run.images.find(reference)
      if (kept) return kept
    }
    throw error
  }
}
