import { posix } from 'node:path'
import { Readable } from 'node:stream'
import { isTcomposeError, TcomposeError } from '../../base/errors.ts'
import { type FsTarget, statPath, unpackTar } from '../../runtime/fs-worker.ts'
import { forUnpacking } from '../content/compression.ts'
import type { ModeChange } from './chmod.ts'
import type { CopySource } from './copy-sources.ts'
import { bytesEntry, NO_XATTRS, type TarEntry, type TarHeader, writeTar } from './tar.ts'

/** Content that is no file of a tree: a here-document, a download. */
export interface CopyFile {
  readonly name: string
  readonly mode: number
  readonly mtime: number
  readonly sizeBytes: number
  readonly open: () => AsyncIterable<Uint8Array>
}

export type CopyItem =
  | { readonly kind: 'source'; readonly source: CopySource }
  | { readonly kind: 'file'; readonly file: CopyFile }
  /** A tar, whatever it is compressed with, to be unpacked at the destination. */
  | { readonly kind: 'archive'; readonly open: () => Readable }
  /** Nothing: only the directories on the way. */
  | { readonly kind: 'directories' }

export interface CopyPlan {
  readonly items: readonly CopyItem[]
  /** Absolute; a trailing slash means a directory. */
  readonly destination: string
  /** Several things go there: it must be a directory. */
  readonly many: boolean
  readonly owner: { readonly uid: number; readonly gid: number } | undefined
  readonly chmod: ModeChange | undefined
  /** For directories made on the way; seconds since 1970. */
  readonly now: number
}

const MAX_LINKS = 40

interface Place {
  /** Deepest directory that is there, links followed. */
  readonly base: string
  /** Components below it that are not. */
  readonly missing: readonly string[]
  readonly kind: 'directory' | 'file' | 'missing'
}

/** Puts the items of a COPY or ADD into a layer. @throws TcomposeError CONFLICT, NOT_FOUND */
export async function performCopy(target: FsTarget, plan: CopyPlan, signal?: AbortSignal): Promise<void> {
  for (const item of plan.items) {
    const place = await locate(target, plan.destination, signal)
    const isDirectory = plan.many || plan.destination.endsWith('/') || place.kind === 'directory'
    if (item.kind === 'archive' || item.kind === 'directories') {
      if (place.kind === 'file') throw notDirectory(plan.destination)
      await put(target, place.base, directories(plan, place.missing), signal)
      if (item.kind === 'directories') continue
      const inside = posix.join(place.base, ...place.missing)
      const tar = await forUnpacking(item.open())
      await unpackTar(target, inside, tar, { mode: 'plain', owner: plan.owner }, signal)
      continue
    }
    await put(target, place.base, entriesOf(plan, item, place, isDirectory), signal)
  }
}

async function put(
  target: FsTarget,
  base: string,
  entries: AsyncIterable<TarEntry> | readonly TarEntry[],
  signal: AbortSignal | undefined,
): Promise<void> {
  if (Array.isArray(entries) && entries.length === 0) return
  try {
    await unpackTar(target, base, Readable.from(writeTar(entries), { objectMode: false }), { keepKinds: true }, signal)
  } catch (error) {
    if (isTcomposeError(error, 'CONFLICT')) throw new TcomposeError('CONFLICT', `cannot copy: ${error.message}`)
    throw error
  }
}

async function locate(
  target: FsTarget,
  path: string,
  signal: AbortSignal | undefined,
  links = MAX_LINKS,
): Promise<Place> {
  const parts = posix
    .normalize(path)
    .split('/')
    .filter((part) => part !== '')
  for (let count = parts.length; count >= 0; count--) {
    const at = `/${parts.slice(0, count).join('/')}`
    const stat = await statOptional(target, at, signal)
    if (!stat) {
      const dangling = links > 0 ? await statOptional(target, at, signal, false) : undefined
      if (!dangling?.link) continue
      // A link to what is not there yet: that is what is made.
      const rest = parts.slice(count).join('/')
      const slash = path.endsWith('/') ? '/' : ''
      return await locate(target, posix.join(dangling.linkTarget, rest) + slash, signal, links - 1)
    }
    const missing = parts.slice(count)
    if ((stat.mode & 0o170000) === 0o040000) {
      return { base: stat.resolved, missing, kind: missing.length === 0 ? 'directory' : 'missing' }
    }
    if (missing.length > 0) throw notDirectory(at)
    return { base: posix.dirname(stat.resolved), missing: [posix.basename(stat.resolved)], kind: 'file' }
  }
  return { base: '/', missing: parts, kind: 'missing' }
}

async function statOptional(target: FsTarget, path: string, signal: AbortSignal | undefined, follow = true) {
  try {
    return await statPath(target, path, { follow, signal })
  } catch (error) {
    if (isTcomposeError(error, 'NOT_FOUND')) return undefined
    throw error
  }
}

function notDirectory(path: string): TcomposeError {
  return new TcomposeError('CONFLICT', `cannot copy to non-directory: ${path}`)
}

/** Entries for directories that are made on the way, each once. */
function directories(plan: CopyPlan, missing: readonly string[]): TarEntry[] {
  return missing.map((_, index) => directory(plan, missing.slice(0, index + 1).join('/')))
}

function directory(plan: CopyPlan, name: string): TarEntry {
  return bytesEntry({
    name,
    kind: 'directory',
    mode: plan.chmod ? plan.chmod(0o755, true) : 0o755,
    uid: plan.owner?.uid ?? 0,
    gid: plan.owner?.gid ?? 0,
    mtime: plan.now,
    link: '',
    major: 0,
    minor: 0,
    xattrs: NO_XATTRS,
  })
}

async function* entriesOf(
  plan: CopyPlan,
  item: Extract<CopyItem, { kind: 'source' | 'file' }>,
  place: Place,
  isDirectory: boolean,
): AsyncGenerator<TarEntry> {
  const adjust = (header: TarHeader): TarHeader => ({
    ...header,
    ...(plan.owner ?? {}),
    mode: plan.chmod && header.kind !== 'symlink' ? plan.chmod(header.mode, header.kind === 'directory') : header.mode,
  })
  const under = (name: string) => [...place.missing, name].filter((part) => part !== '').join('/')
  if (item.kind === 'file') {
    const { file } = item
    if (place.kind === 'file' && isDirectory) throw notDirectory(plan.destination)
    if (place.kind !== 'file') yield* directories(plan, isDirectory ? place.missing : place.missing.slice(0, -1))
    const name = isDirectory ? under(file.name) : place.missing.join('/')
    const { mode, mtime, sizeBytes } = file
    const common = { uid: 0, gid: 0, link: '', major: 0, minor: 0, xattrs: NO_XATTRS }
    yield { header: adjust({ name, kind: 'file', mode, mtime, sizeBytes, ...common }), body: file.open() }
    return
  }
  const { source } = item
  const asDirectory = source.found.kind === 'directory' || source.parents.length > 0
  if (place.kind === 'file' && (asDirectory || isDirectory)) throw notDirectory(plan.destination)
  if (place.kind !== 'file') {
    yield* directories(plan, asDirectory || isDirectory ? place.missing : place.missing.slice(0, -1))
  }
  let prefix = asDirectory || isDirectory ? under('') : place.missing.slice(0, -1).join('/')
  const top =
    source.found.kind === 'directory'
      ? ''
      : asDirectory || isDirectory
        ? posix.basename(source.path)
        : (place.missing.at(-1) as string)
  // With --parents the directories around the source come with their own attributes.
  let within = source.path.split('/').slice(0, -1).join('/')
  if (source.parents.length > 0) {
    for (const { name: parent, path } of source.parents) {
      const at = await source.tree.stat(path)
      if (!at) continue
      for await (const entry of source.tree.entries(at.path, (name) => name === '')) {
        if (entry.header.name === '')
          yield { ...entry, header: adjust({ ...entry.header, name: joined(prefix, parent) }) }
        break
      }
    }
    if (source.found.kind === 'directory') within = source.path
    prefix = joined(prefix, within)
  }
  for await (const { header, body } of source.tree.entries(source.found.path, source.keep)) {
    if (source.found.kind === 'directory' && header.name === '') continue
    const name = joined(prefix, top === '' ? header.name : top)
    const link = header.kind === 'hardlink' ? joined(prefix, header.link) : header.link
    yield { header: adjust({ ...header, name, link }), body }
  }
}

function joined(prefix: string, name: string): string {
  return prefix === '' ? name : name === '' ? prefix : `${prefix}/${name}`
}
