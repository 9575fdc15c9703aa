import { readFileSync } from 'node:fs'
import { basename, isAbsolute, join } from 'node:path'
import { errnoOf, TcomposeError } from '../../base/errors.ts'
import { createIgnoreMatcher, type IgnoreMatcher, parseIgnoreFile } from '../../dockerfile/ignore.ts'
import type { BuildRequest } from './types.ts'

export interface LoadedDockerfile {
  readonly text: string
  /** Shown in errors: `Dockerfile`. */
  readonly name: string
  readonly ignore: IgnoreMatcher
}

/** Reads the Dockerfile of a request and its ignore file. @throws TcomposeError NOT_FOUND, INVALID */
export function loadDockerfile(request: BuildRequest, contextDirectory: string | undefined): LoadedDockerfile {
  if (request.dockerfileInline !== undefined) {
    return { text: request.dockerfileInline, name: 'Dockerfile', ignore: readIgnore(contextDirectory, undefined) }
  }
  const wanted = request.dockerfile || 'Dockerfile'
  if (contextDirectory === undefined && !isAbsolute(wanted)) {
    throw new TcomposeError('INVALID', 'the build context has no directory to read a Dockerfile from')
  }
  const path = isAbsolute(wanted) ? wanted : join(contextDirectory ?? '/', wanted)
  const candidates = request.dockerfile ? [path] : [path, join(contextDirectory ?? '/', 'dockerfile')]
  for (const candidate of candidates) {
    const text = readOptional(candidate)
    if (text === undefined) continue
    return { text, name: basename(candidate), ignore: readIgnore(contextDirectory, candidate) }
  }
  throw new TcomposeError('NOT_FOUND', `failed to read dockerfile: open ${wanted}: no such file or directory`, {
    hint: `looked for ${candidates.join(' and ')}`,
  })
}

/** `<Dockerfile>.dockerignore` replaces `.dockerignore`. */
export function readIgnore(contextDirectory: string | undefined, dockerfile: string | undefined): IgnoreMatcher {
  const own = dockerfile === undefined ? undefined : readOptional(`${dockerfile}.dockerignore`)
  const text =
    own ?? (contextDirectory === undefined ? undefined : readOptional(join(contextDirectory, '.dockerignore')))
  return createIgnoreMatcher(text === undefined ? [] : parseIgnoreFile(text))
}

function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EISDIR'].includes(errnoOf(error) ?? '')) return undefined
    throw error
  }
}
