import type { Digest } from '../../base/digest.ts'
import type { TarEntry } from './tar.ts'

/** What stands at a path of a source. */
export interface SourcePath {
  readonly kind: 'file' | 'directory' | 'other'
  /** Links followed; relative to the root, '' for the root itself. */
  readonly path: string
}

/** Files that COPY, ADD and bind mounts take: the build context, a stage, an image. Paths are relative to its root. */
export interface SourceTree {
  /** For messages: `the build context`, `stage build`. */
  readonly description: string
  /** Follows links, never out of the tree. undefined: not there, or left out. */
  stat(path: string): Promise<SourcePath | undefined>
  /** Why a path that is there is not seen, for messages. */
  explain(path: string): string | undefined
  /** Paths whose last or inner components match a pattern, sorted. */
  glob(matches: (path: string) => boolean, depth: number): Promise<readonly string[]>
  /** By content, names, kinds and modes; times do not count. `keep` is asked with names relative to the path. */
  digest(path: string, keep: (name: string) => boolean): Promise<Digest>
  /** The path itself (name '') and everything below, parents first. */
  entries(path: string, keep: (name: string) => boolean): AsyncIterable<TarEntry>
}
