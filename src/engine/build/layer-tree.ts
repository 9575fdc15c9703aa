import { posix } from 'node:path'
import type { Digest } from '../../base/digest.ts'
import { digestOf } from '../../base/digest.ts'
import { isTcomposeError } from '../../base/errors.ts'
import { digestTree, type FsTarget, listDirectory, packTree, statPath } from '../../runtime/fs-worker.ts'
import type { SourceTree } from './source-tree.ts'
import { readTar, type TarEntry } from './tar.ts'

/** The files of a stage or an image: its layers as one. `lowers` top first. */
export function createLayerTree(options: {
  readonly lowers: readonly string[]
  readonly description: string
  readonly signal?: AbortSignal | undefined
}): SourceTree {
  const { lowers, signal } = options
  const target: FsTarget =
    lowers.length === 1 ? { kind: 'directory', path: lowers[0] as string } : { kind: 'overlay', lowers }
  return {
    description: options.description,
    async stat(path) {
      try {
        const stat = await statPath(target, `/${path}`, { follow: true, signal })
        const type = stat.mode & 0o170000
        const kind = type === 0o040000 ? 'directory' : type === 0o100000 ? 'file' : 'other'
        return { kind, path: stat.resolved.replace(/^\/+/, '') }
      } catch (error) {
        if (isTcomposeError(error, 'NOT_FOUND')) return undefined
        throw error
      }
    },
    explain: () => undefined,
    async glob(matches) {
      const list = await listDirectory(target, '/', { recursive: true, signal })
      return list
        .map((entry) => entry.path.replace(/^\/+/, ''))
        .filter(matches)
        .toSorted()
    },
    async digest(path, keep) {
      const lines: string[] = []
      if (keep === keepAll) {
        const whole = await digestTree(target, `/${path}`, { maxMtime: 0, name: 'x' }, signal)
        return whole.digest
      }
      const list = await listDirectory(target, `/${path}`, { recursive: true, signal })
      const skip = list.map((entry) => entry.path.replace(/^\/+/, '')).filter((name) => !keep(name))
      const exclude = skip.map((name) => posix.join('/', path, name))
      lines.push((await digestTree(target, `/${path}`, { maxMtime: 0, name: 'x', exclude }, signal)).digest)
      return digestOf(lines.join('\n')) satisfies Digest
    },
    async *entries(path, keep): AsyncGenerator<TarEntry> {
      // Everything is given one name, so that names relative to it can be told from it.
      for await (const { header, body } of readTar(packTree(target, `/${path}`, { name: 'x' }, signal))) {
        const name = header.name === 'x' ? '' : header.name.slice(2)
        if (name !== '' && !keep(name)) continue
        const link = header.kind === 'hardlink' ? header.link.replace(/^(\.?\/)?x\//, '') : header.link
        yield { header: { ...header, name, link }, body }
      }
    },
  }
}

/** Keeps every path; trees know it and need not ask. */
export const keepAll = (_name: string): boolean => true
