import { relative } from 'node:path'
import type { YamlDocument } from './parse-yaml.ts'
import type { Path } from './tree.ts'

/** The files a project came from, for errors to say where something stands. Nothing is looked up until one asks. */
export interface Sources {
  add(file: string, documents: readonly YamlDocument[]): void
  /** `file:line:column` of a path, in the latest file that has most of it. */
  at(path: Path): string | undefined
  /** The same, for a path that stands in one file. */
  atIn(file: string, path: Path): string | undefined
  /** A file's name as people type it. */
  display(file: string): string
}

export function createSources(cwd: string): Sources {
  const files: { readonly file: string; readonly documents: readonly YamlDocument[] }[] = []
  const display = (file: string): string => {
    const near = relative(cwd, file)
    return near === '' || near.startsWith('..') || file === '-' ? file : near
  }
  const find = (path: Path, only?: string): string | undefined => {
    let best: { readonly text: string; readonly depth: number } | undefined
    for (const { file, documents } of files.toReversed()) {
      if (only !== undefined && file !== only) continue
      for (const document of documents.toReversed()) {
        const location = document.locate(path)
        if (location && (!best || location.depth > best.depth)) {
          best = { text: `${display(file)}:${location.line}:${location.column}`, depth: location.depth }
        }
      }
    }
    return best?.text
  }
  return {
    add: (file, documents) => files.push({ file, documents }),
    at: (path) => find(path),
    atIn: (file, path) => find(path, file),
    display,
  }
}
