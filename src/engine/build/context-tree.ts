import { createHash } from 'node:crypto'
import { type BigIntStats, createReadStream } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { mapConcurrent } from '../../base/concurrency.ts'
import { createDigester, type Digest } from '../../base/digest.ts'
import { errnoOf } from '../../base/errors.ts'
import type { IgnoreMatcher } from '../../dockerfile/ignore.ts'
import type { FileDigests } from './file-digests.ts'
import type { SourcePath, SourceTree } from './source-tree.ts'
import { bytesEntry, NO_XATTRS, type TarEntry, type TarHeader } from './tar.ts'

const MAX_LINKS = 40
const CONCURRENCY = 16

interface Found {
  /** Relative to the root of the tree. */
  readonly path: string
  readonly stat: BigIntStats
}

/** A directory of the host as build context, read in place; what is ignored is not there. */
export function createContextTree(options: {
  readonly root: string
  readonly ignore: IgnoreMatcher
  readonly digests: FileDigests
  readonly description: string
}): SourceTree {
  const { root, ignore, digests } = options
  const hostPath = (path: string) => (path === '' ? root : `${root}/${path}`)

  /** Ignored, and nothing below it is let in again. */
  const hidden = (path: string) => path !== '' && ignore.ignores(path) && !ignore.mayInclude(path)

  const look = async (path: string): Promise<BigIntStats | undefined> => {
    try {
      return await lstat(hostPath(path), { bigint: true })
    } catch (error) {
      if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return undefined
      throw error
    }
  }

  /** Resolves links component by component; an absolute one starts at the root of the tree. */
  const resolve = async (path: string): Promise<Found | undefined> => {
    let rest = partsOf(path)
    let done: string[] = []
    let links = 0
    let stat = await look('')
    while (rest.length > 0) {
      const [part = '', ...after] = rest
      rest = after
      if (part === '..') {
        done = done.slice(0, -1)
        continue
      }
      const current = [...done, part].join('/')
      stat = await look(current)
      if (!stat || hidden(current)) return undefined
      if (!stat.isSymbolicLink()) {
        done = [...done, part]
        continue
      }
      if (++links > MAX_LINKS) return undefined
      const target = await readlink(hostPath(current))
      rest = [...partsOf(target), ...rest]
      if (target.startsWith('/')) done = []
    }
    const found = done.join('/')
    stat = await look(found)
    return stat && { path: found, stat }
  }

  /** Everything below a directory, parents first, in the order of names. */
  async function* walk(directory: string): AsyncGenerator<Found> {
    const names = (await readdir(hostPath(directory))).toSorted()
    for (const name of names) {
      const path = directory === '' ? name : `${directory}/${name}`
      const ignored = ignore.ignores(path)
      if (ignored && !ignore.mayInclude(path)) continue
      const stat = await look(path)
      if (!stat) continue
      if (!stat.isDirectory()) {
        if (!ignored) yield { path, stat }
        continue
      }
      if (!ignored) {
        yield { path, stat }
        yield* walk(path)
        continue
      }
      // An ignored directory is there only for what is let in again below it.
      let shown = false
      for await (const below of walk(path)) {
        if (!shown) yield { path, stat }
        shown = true
        yield below
      }
    }
  }

  async function* selected(path: string, keep: (name: string) => boolean): AsyncGenerator<Found & { name: string }> {
    const start = await resolve(path)
    if (!start) return
    yield { ...start, name: '' }
    if (!start.stat.isDirectory()) return
    const prefix = start.path === '' ? 0 : start.path.length + 1
    for await (const found of walk(start.path)) {
      const name = found.path.slice(prefix)
      if (keep(name)) yield { ...found, name }
    }
  }

  return {
    description: options.description,

    async stat(path): Promise<SourcePath | undefined> {
      const found = await resolve(path)
      if (!found) return undefined
      // A file that is ignored is gone; an ignored directory may still lead to what is not.
      if (found.path !== '' && ignore.ignores(found.path) && !found.stat.isDirectory()) return undefined
      const kind = found.stat.isDirectory() ? 'directory' : found.stat.isFile() ? 'file' : 'other'
      return { kind, path: found.path }
    },

    explain: (path) => (ignore.ignores(path) ? 'it is excluded by .dockerignore' : undefined),

    async glob(matches, depth) {
      const found: string[] = []
      const visit = async (directory: string, level: number): Promise<void> => {
        let names: string[]
        try {
          names = (await readdir(hostPath(directory))).toSorted()
        } catch (error) {
          if (['ENOTDIR', 'ENOENT'].includes(errnoOf(error) ?? '')) return
          throw error
        }
        for (const name of names) {
          const path = directory === '' ? name : `${directory}/${name}`
          if (hidden(path)) continue
          const isDirectory = (await look(path))?.isDirectory() ?? false
          if (matches(path) && (isDirectory || !ignore.ignores(path))) found.push(path)
          if (isDirectory && level < depth) await visit(path, level + 1)
        }
      }
      await visit('', 1)
      return found
    },

    async digest(path, keep): Promise<Digest> {
      const list: (Found & { name: string })[] = []
      for await (const found of selected(path, keep)) list.push(found)
      const lines = await mapConcurrent(list, CONCURRENCY, async ({ path: at, name, stat }) => {
        const mode = (Number(stat.mode) & 0o7777).toString(8)
        if (stat.isSymbolicLink()) return `l ${JSON.stringify(name)} ${JSON.stringify(await readlink(hostPath(at)))}`
        if (stat.isDirectory()) return `d ${JSON.stringify(name)} ${mode}`
        if (!stat.isFile()) return `f ${JSON.stringify(name)} ${mode} empty`
        return `f ${JSON.stringify(name)} ${mode} ${await digests.of(hostPath(at), stat)}`
      })
      const digester = createDigester()
      for (const line of lines) digester.update(`${line}\n`)
      return digester.digest()
    },

    async *entries(path, keep): AsyncGenerator<TarEntry> {
      for await (const { path: at, name, stat } of selected(path, keep)) yield await entryOf(hostPath(at), name, stat)
    },
  }
}

/** A host file as tar entry that belongs to root. Sockets, which no layer can hold, become empty files. */
export async function entryOf(hostPath: string, name: string, stat: BigIntStats): Promise<TarEntry> {
  const common: Omit<TarHeader, 'kind' | 'sizeBytes'> = {
    name,
    mode: Number(stat.mode) & 0o7777,
    uid: 0,
    gid: 0,
    mtime: Number(stat.mtimeNs / 1_000_000_000n),
    link: '',
    major: 0,
    minor: 0,
    xattrs: NO_XATTRS,
  }
  if (stat.isSymbolicLink()) return bytesEntry({ ...common, kind: 'symlink', link: await readlink(hostPath) })
  if (stat.isDirectory()) return bytesEntry({ ...common, kind: 'directory' })
  if (stat.isFIFO()) return bytesEntry({ ...common, kind: 'fifo' })
  if (!stat.isFile() || stat.size === 0n) return bytesEntry({ ...common, kind: 'file' })
  const size = Number(stat.size)
  return {
    header: { ...common, kind: 'file', sizeBytes: size },
    body: createReadStream(hostPath, { highWaterMark: 1 << 20, end: size - 1 }) as AsyncIterable<Uint8Array>,
  }
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.')
}

/** sha256 of a host file. */
export async function digestFile(path: string): Promise<Digest> {
  const state = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) state.update(chunk as Buffer)
  return `sha256:${state.digest('hex')}`
}
