import { posix } from 'node:path'
import { TcomposeError } from '../../base/errors.ts'
import { compilePattern, createIgnoreMatcher } from '../../dockerfile/ignore.ts'
import { keepAll } from './layer-tree.ts'
import type { SourcePath, SourceTree } from './source-tree.ts'

/** One path that is copied. */
export interface CopySource {
  readonly tree: SourceTree
  /** Where it is, links followed. */
  readonly found: SourcePath
  /** As named, for its name at the destination. */
  readonly path: string
  /** With --parents: the directories that go with it, where they are and what they are called at the destination. */
  readonly parents: readonly { readonly path: string; readonly name: string }[]
  readonly keep: (name: string) => boolean
}

export interface CopyRequest {
  /** `COPY` or `ADD`, for messages. */
  readonly instruction: string
  readonly sources: readonly string[]
  readonly exclude: readonly string[]
  readonly parents: boolean
}

/** Resolves names and patterns. @throws TcomposeError NOT_FOUND for a name without file; a pattern may match nothing */
export async function resolveSources(tree: SourceTree, request: CopyRequest): Promise<readonly CopySource[]> {
  const keep = keepOf(request.exclude)
  const found: CopySource[] = []
  for (const source of request.sources) {
    const [pivot, inner] = splitPivot(source, request.parents)
    const paths = await expandPattern(tree, join(pivot, inner), request)
    for (const path of paths) {
      const at = await tree.stat(path)
      if (!at) continue
      // A pattern before the pivot stands for as many directories as it has components.
      const depth = pivot === '' ? 0 : pivot.split('/').length
      const components = path.split('/')
      const before = components.slice(0, depth)
      const relative = components.slice(depth).join('/')
      const names = request.parents ? parentsOf(relative, at.kind === 'directory') : []
      const parents = names.map((name) => ({ name, path: [...before, name].join('/') }))
      found.push({ tree, found: at, path: relative, parents, keep })
    }
  }
  return found
}

function join(pivot: string, inner: string): string {
  return pivot === '' ? inner : inner === '' ? pivot : `${pivot}/${inner}`
}

/** Paths relative to the root of the tree: no `/` in front, no way up out of it. */
export function contextPath(source: string): string {
  return posix.normalize(`/${source}`).replace(/^\/+|\/+$/g, '')
}

function splitPivot(source: string, parents: boolean): readonly [string, string] {
  const at = parents ? source.indexOf('/./') : -1
  if (at >= 0) return [contextPath(source.slice(0, at)), contextPath(source.slice(at + 3))]
  return ['', contextPath(source)]
}

async function expandPattern(tree: SourceTree, path: string, request: CopyRequest): Promise<readonly string[]> {
  if (!/[*?[\\]/.test(path)) {
    if (await tree.stat(path)) return [path]
    throw notFound(tree, path, request)
  }
  // Only --parents knows `**`; elsewhere it is two stars, one component.
  const pattern = request.parents ? path : path.replace(/\*{2,}/g, '*')
  const deep = pattern.includes('**')
  return await tree.glob(compilePattern(pattern), deep ? Number.POSITIVE_INFINITY : pattern.split('/').length)
}

function notFound(tree: SourceTree, path: string, request: CopyRequest): TcomposeError {
  const why = tree.explain(path)
  return new TcomposeError(
    'NOT_FOUND',
    `${request.instruction} /${path}: not found in ${tree.description}${why ? `: ${why}` : ''}`,
  )
}

function parentsOf(path: string, withItself: boolean): string[] {
  const parts = path.split('/').filter((part) => part !== '')
  const count = withItself ? parts.length : parts.length - 1
  return Array.from({ length: count }, (_, index) => parts.slice(0, index + 1).join('/'))
}

function keepOf(exclude: readonly string[]): (name: string) => boolean {
  if (exclude.length === 0) return keepAll
  const matcher = createIgnoreMatcher(exclude)
  return (name) => !matcher.ignores(name)
}
