import { lstat, stat } from 'node:fs/promises'
import { basename, dirname, join, posix, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { errnoOf, isTcomposeError, TcomposeError } from '../base/errors.ts'
import type { Container } from '../engine/containers/types.ts'
import type { Engine } from '../engine/engine.ts'
import { packTree, unpackTar } from '../runtime/fs-worker.ts'

const S_IFMT = 0o170000
const S_IFDIR = 0o040000
const S_IFLNK = 0o120000

/** Where a copy lands: a directory that is there, and the name that the topmost entry gets in it. */
interface Landing {
  readonly directory: string
  /** '' : the content of the source itself, without its topmost directory. */
  readonly name: string
}

/**
 * `docker cp`'s rules for the place of a copy.
 * @throws TcomposeError INVALID where they forbid it
 */
export function landing(input: {
  readonly sourceName: string
  readonly sourceIsDirectory: boolean
  /** `/.` at the end of the source: its content. */
  readonly contentOnly: boolean
  readonly target: string
  readonly targetKind: 'directory' | 'file' | 'missing'
  readonly parentExists: boolean
}): Landing {
  const target = input.target.replace(/(?<=.)\/+$/, '')
  if (input.targetKind === 'directory') {
    return { directory: target, name: input.contentOnly && input.sourceIsDirectory ? '' : input.sourceName }
  }
  if (input.targetKind === 'file') {
    if (input.sourceIsDirectory) throw new TcomposeError('INVALID', `cannot copy directory onto file ${target}`)
  } else if (!input.parentExists) {
    throw new TcomposeError('NOT_FOUND', `no such directory: ${posix.dirname(target)}`)
  } else if (!input.sourceIsDirectory && input.target.endsWith('/')) {
    throw new TcomposeError('NOT_FOUND', `destination directory ${input.target} does not exist`)
  }
  return { directory: posix.dirname(target), name: posix.basename(target) }
}

export interface CopyOptions {
  /** Follow a symbolic link at the source. */
  readonly followLink: boolean
  /** Keep uid and gid. */
  readonly archive: boolean
  readonly signal?: AbortSignal | undefined
}

/** A file or tree of this machine into a container. `source` `-` reads a tar from stdin. */
export async function copyIn(
  engine: Engine,
  container: Container,
  source: string,
  target: string,
  options: CopyOptions,
): Promise<void> {
  const path = posix.resolve('/', target)
  if (source === '-') {
    await engine.containers.writeArchive(container.id, path, process.stdin, { copyUidGid: options.archive })
    return
  }
  const host = resolve(source)
  const own = await hostStat(host, options.followLink)
  const place = landing({
    sourceName: basename(host),
    sourceIsDirectory: own.isDirectory(),
    contentOnly: source.endsWith('/.'),
    target: target.endsWith('/') && path !== '/' ? `${path}/` : path,
    targetKind: await containerKind(engine, container, path),
    parentExists: (await containerKind(engine, container, posix.dirname(path))) === 'directory',
  })
  const tar = packTree(
    { kind: 'directory', path: '/' },
    host,
    { name: place.name, follow: options.followLink },
    options.signal,
  )
  await engine.containers.writeArchive(container.id, place.directory, tar, { copyUidGid: options.archive })
}

async function hostStat(path: string, follow: boolean) {
  try {
    return await (follow ? stat(path) : lstat(path))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw new TcomposeError('NOT_FOUND', `lstat ${path}: no such file or directory`)
    throw error
  }
}

async function containerKind(
  engine: Engine,
  container: Container,
  path: string,
): Promise<'directory' | 'file' | 'missing'> {
  try {
    const found = await engine.containers.statPath(container.id, path)
    if ((found.mode & S_IFMT) === S_IFLNK && found.linkTarget !== '' && found.linkTarget !== path) {
      return await containerKind(engine, container, found.linkTarget)
    }
    return (found.mode & S_IFMT) === S_IFDIR ? 'directory' : 'file'
  } catch (error) {
    if (isTcomposeError(error, 'NOT_FOUND')) return 'missing'
    throw error
  }
}

/** A file or tree of a container to this machine. `target` `-` writes a tar to stdout. */
export async function copyOut(
  engine: Engine,
  container: Container,
  source: string,
  target: string,
  options: CopyOptions,
): Promise<void> {
  let path = posix.resolve('/', source)
  let found = await engine.containers.statPath(container.id, path)
  if (options.followLink && (found.mode & S_IFMT) === S_IFLNK && found.linkTarget !== '') {
    path = found.linkTarget
    found = await engine.containers.statPath(container.id, path)
  }
  const tar: Readable = await engine.containers.readArchive(container.id, path)
  if (target === '-') {
    await pipeline(tar, process.stdout, { end: false })
    return
  }
  const host = resolve(target)
  const place = landing({
    sourceName: found.name,
    sourceIsDirectory: (found.mode & S_IFMT) === S_IFDIR,
    contentOnly: source.endsWith('/.'),
    target: target.endsWith('/') ? `${host}/` : host,
    targetKind: await localKind(host),
    parentExists: (await localKind(dirname(host))) === 'directory',
  })
  await unpackRenamed(tar, found.name, place, options)
}

async function localKind(path: string): Promise<'directory' | 'file' | 'missing'> {
  try {
    return (await stat(path)).isDirectory() ? 'directory' : 'file'
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 'missing'
    throw error
  }
}

/**
 * The archive names its topmost entry after the source: it is unpacked into a directory of its own beside the target,
 * confined to it, and then moved to where it belongs.
 */
async function unpackRenamed(tar: Readable, name: string, place: Landing, options: CopyOptions): Promise<void> {
  const { mkdtemp, rm, rename, readdir, cp } = await import('node:fs/promises')
  const temporary = await mkdtemp(join(place.directory, '.tcompose-cp-'))
  try {
    const owner = options.archive ? undefined : { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
    await unpackTar({ kind: 'directory', path: temporary }, '/', tar, { mode: 'plain', owner }, options.signal)
    const entries = await readdir(temporary)
    const top = entries.includes(name) ? name : entries[0]
    const move = async (from: string, to: string): Promise<void> => {
      try {
        await rename(from, to)
      } catch (error) {
        // Onto a directory that has entries: the trees are merged.
        if (!['ENOTEMPTY', 'EEXIST', 'EISDIR', 'ENOTDIR'].includes(errnoOf(error) ?? '')) throw error
        await cp(from, to, { recursive: true, force: true, preserveTimestamps: true, verbatimSymlinks: true })
      }
    }
    if (top === undefined) return
    if (place.name !== '') return await move(join(temporary, top), join(place.directory, place.name))
    for (const entry of await readdir(join(temporary, top))) {
      await move(join(temporary, top, entry), join(place.directory, entry))
    }
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}
