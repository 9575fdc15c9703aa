import { statSync } from 'node:fs'
import { posix } from 'node:path'
import { Readable } from 'node:stream'
import { isTcomposeError, TcomposeError } from '../../base/errors.ts'
import {
  diffUpper,
  diskUsage,
  type FsTarget,
  packTree,
  removePath,
  statPath,
  unpackTar,
} from '../../runtime/fs-worker.ts'
import { resolveRootPath } from '../../runtime/root-reader.ts'
import { resolveUser } from '../../runtime/user.ts'
import { accountFiles } from './accounts.ts'
import { cleanPath } from './config.ts'
import { bundleOf, type ContainerContext, directoryOf } from './deps.ts'
import { observe } from './observe.ts'
import type { StoredContainer } from './store.ts'
import { formatNano } from './timestamps.ts'
import type { PathStat } from './types.ts'

/** What the engine puts into every container: not the container's own change. */
const ENGINE_PATHS: ReadonlySet<string> = new Set(['/etc/hosts', '/etc/hostname', '/etc/resolv.conf'])

/** Where file work on a container happens: in its live root, or on its overlay with its volumes when it is stopped. */
export async function fsTarget(context: ContainerContext, stored: StoredContainer): Promise<FsTarget> {
  const { state } = observe(stored.state, bundleOf(context, stored.id), context.boot)
  if (state.pid > 0 && (state.status === 'running' || state.status === 'paused')) {
    return { kind: 'process', pid: state.pid, pidStart: state.pidStart }
  }
  const { lowers } = await (await context.images()).root(stored.imageId)
  const directory = directoryOf(context, stored.id)
  const binds = stored.record.mounts
    .filter((mount) => mount.kind === 'bind' || mount.kind === 'volume')
    .map((mount) => ({ source: mount.source, target: mount.target, readOnly: mount.readOnly }))
    .toSorted((a, b) => a.target.split('/').length - b.target.split('/').length)
  const root = { kind: 'overlay', lowers, upper: `${directory}/upper`, work: `${directory}/work` } as const
  if (state.startedAt === '') await makeMountPoints(root, binds)
  return { ...root, binds }
}

/** The first start makes the places where volumes are mounted; a copy into one that was never started comes before it. */
async function makeMountPoints(
  root: Extract<FsTarget, { kind: 'overlay' }>,
  binds: readonly { readonly source: string; readonly target: string }[],
): Promise<void> {
  const layers = root.upper === undefined ? root.lowers : [root.upper, ...root.lowers]
  for (const { source, target } of binds) {
    if (resolveRootPath(layers, target) !== undefined || !statSync(source).isDirectory()) continue
    await unpackTar(root, target, Readable.from([EMPTY_TAR]), { makeDirectory: true })
  }
}

const EMPTY_TAR = Buffer.alloc(1024)

/** @throws TcomposeError NOT_FOUND in Docker's words */
export async function statContainerPath(
  context: ContainerContext,
  stored: StoredContainer,
  path: string,
): Promise<PathStat> {
  const target = await fsTarget(context, stored)
  const stat = await inContainer(stored, path, () => statPath(target, absolute(path)))
  return {
    name: stat.name,
    sizeBytes: stat.sizeBytes,
    mode: stat.mode,
    mtime: formatNano(BigInt(stat.mtimeNs)),
    linkTarget: stat.linkTarget,
  }
}

/** A tar of the path; a trailing `/.` means what a link at the path leads to. */
export async function readContainerArchive(
  context: ContainerContext,
  stored: StoredContainer,
  path: string,
): Promise<Readable> {
  const target = await fsTarget(context, stored)
  const follow = path.endsWith('/') || path.endsWith('/.')
  await inContainer(stored, path, () => statPath(target, absolute(path), { follow }))
  const name = posix.basename(cleanPath(path)) || '/'
  return packTree(target, absolute(path), { follow, name: name === '/' ? '' : name })
}

export async function writeContainerArchive(
  context: ContainerContext,
  stored: StoredContainer,
  path: string,
  tar: Readable,
  options: { readonly copyUidGid?: boolean },
): Promise<void> {
  const target = await fsTarget(context, stored)
  const stat = await inContainer(stored, path, () => statPath(target, absolute(path), { follow: true }))
  if ((stat.mode & 0o170000) !== 0o040000) {
    throw new TcomposeError('INVALID', `extraction point is not a directory: ${path}`)
  }
  assertWritable(stored, stat.resolved)
  const owner = options.copyUidGid ? await ownerOf(context, stored) : undefined
  await unpackTar(target, stat.resolved, tar, { mode: 'plain', keepKinds: true, owner })
}

/** A read-only root or mount is so for copies too. */
function assertWritable(stored: StoredContainer, path: string): void {
  const { spec, mounts } = stored.record
  const covering = mounts
    .filter((mount) => path === mount.target || path.startsWith(`${mount.target}/`))
    .toSorted((a, b) => b.target.length - a.target.length)[0]
  if (covering?.readOnly) throw new TcomposeError('DENIED', 'mounted volume is marked read-only')
  if (!covering && spec.readOnlyRootfs) throw new TcomposeError('DENIED', 'container rootfs is marked read-only')
}

async function ownerOf(context: ContainerContext, stored: StoredContainer): Promise<{ uid: number; gid: number }> {
  const { uid, gid } = resolveUser(stored.record.config.user, [], await accountFiles(context, stored))
  return { uid, gid }
}

/** Removes files and folders inside the root; those that are not there are no error. */
export async function removeContainerPaths(
  context: ContainerContext,
  stored: StoredContainer,
  paths: readonly string[],
): Promise<void> {
  const target = await fsTarget(context, stored)
  for (const path of paths.map(cleanPath)) {
    if (path === '/') throw new TcomposeError('INVALID', 'the root of a container cannot be removed')
    assertWritable(stored, path)
    try {
      await removePath(target, path)
    } catch (error) {
      if (!isTcomposeError(error, 'NOT_FOUND')) throw error
    }
  }
}

export async function exportContainer(context: ContainerContext, stored: StoredContainer): Promise<Readable> {
  const target = await fsTarget(context, stored)
  // Mounts are no part of the root: a live one is packed from its layers, as a stopped one is.
  const { lowers } = await (await context.images()).root(stored.imageId)
  const layers: FsTarget =
    target.kind === 'process'
      ? { kind: 'overlay', lowers: [`${directoryOf(context, stored.id)}/upper`, ...lowers] }
      : { ...target, kind: 'overlay', lowers, binds: [] }
  return packTree(layers, '/', { name: '' })
}

/** What the container wrote, as a layer on its image. */
export function exportContainerChanges(context: ContainerContext, stored: StoredContainer): Readable {
  const upper = { kind: 'directory', path: `${directoryOf(context, stored.id)}/upper` } as const
  return packTree(upper, '/', { name: '', mode: 'layer', exclude: ['/sbin/docker-init'] })
}

export async function containerWrittenBytes(
  context: ContainerContext,
  stored: StoredContainer,
  signal: AbortSignal | undefined,
): Promise<number> {
  return (await diskUsage(`${directoryOf(context, stored.id)}/upper`, signal)).sizeBytes
}

export async function containerChanges(
  context: ContainerContext,
  stored: StoredContainer,
): Promise<readonly { readonly kind: 'A' | 'C' | 'D'; readonly path: string }[]> {
  const { lowers } = await (await context.images()).root(stored.imageId)
  const changes = await diffUpper(`${directoryOf(context, stored.id)}/upper`, lowers)
  const targets = new Set([...stored.record.mounts.map((mount) => mount.target), '/sbin/docker-init', ...ENGINE_PATHS])
  const own = changes.filter((change) => !targets.has(change.path))
  // A directory that changed only because the engine put a mount point into it has not changed.
  return own.filter((change) => {
    if (change.kind === 'D') return true
    const below = `${change.path === '/' ? '' : change.path}/`
    const hadEngineChild = changes.some(
      (other) => targets.has(other.path) && posix.dirname(other.path) === change.path && other.kind === 'A',
    )
    return !hadEngineChild || own.some((other) => other !== change && other.path.startsWith(below))
  })
}

function absolute(path: string): string {
  return cleanPath(path)
}

async function inContainer<T>(stored: StoredContainer, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!isTcomposeError(error, 'NOT_FOUND')) throw error
    throw new TcomposeError('NOT_FOUND', `Could not find the file ${path} in container ${stored.name}`, {
      cause: error,
    })
  }
}
