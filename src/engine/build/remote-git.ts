import { rmSync } from 'node:fs'
import { TcomposeError } from '../../base/errors.ts'
import { createIgnoreMatcher } from '../../dockerfile/ignore.ts'
import { run as exec } from '../../platform/exec.ts'
import { makeTemporary } from '../content/temporary.ts'
import type { BuildRun } from './build-run.ts'
import { createContextTree } from './context-tree.ts'
import { createFileDigests } from './file-digests.ts'
import type { SourceTree } from './source-tree.ts'

export interface GitReference {
  readonly remote: string
  /** Branch, tag or commit; '' is the default branch. */
  readonly ref: string
  readonly subdirectory: string
  readonly checksum: string
  readonly keepGitDir: boolean | undefined
  readonly submodules: boolean | undefined
}

export interface Checkout extends AsyncDisposable {
  readonly path: string
  readonly commit: string
  readonly tree: SourceTree
}

/** `git@host:path`, `git://`, `ssh://`, or an http(s) URL whose path ends in `.git`. */
export function isGitUrl(text: string): boolean {
  if (/^(git|ssh|git\+https?):\/\//.test(text) || /^[\w.-]+@[\w.-]+:/.test(text)) return true
  if (/^github\.com\//.test(text)) return true
  return /^https?:\/\/[^?#]+\.git([?#].*)?$/.test(text) || /^file:\/\/[^?#]+\.git([?#].*)?$/.test(text)
}

/** Takes a Git URL apart: `#ref:subdir` or `?ref=&subdir=…`. @throws TcomposeError INVALID */
export function parseGitUrl(text: string): GitReference {
  const [head = '', fragment = ''] = split(text, '#')
  const [remote = '', query = ''] = split(head, '?')
  const [fragmentRef = '', fragmentDirectory = ''] = split(fragment, ':')
  const values = new URLSearchParams(query)
  const known = new Set(['ref', 'tag', 'branch', 'subdir', 'checksum', 'commit', 'keep-git-dir', 'submodules'])
  for (const key of values.keys()) {
    if (!known.has(key)) throw new TcomposeError('INVALID', `unexpected query ${JSON.stringify(key)} in ${text}`)
  }
  const flag = (key: string): boolean | undefined => {
    const value = values.get(key)
    if (value === null) return undefined
    if (value === '' || value === 'true' || value === '1') return true
    if (value === 'false' || value === '0') return false
    throw new TcomposeError('INVALID', `invalid ${key} value: ${JSON.stringify(value)}`)
  }
  return {
    remote: remote.replace(/^git\+/, '').replace(/^github\.com\//, 'https://github.com/'),
    ref: values.get('ref') ?? values.get('tag') ?? values.get('branch') ?? fragmentRef,
    subdirectory: values.get('subdir') ?? fragmentDirectory,
    checksum: values.get('checksum') ?? values.get('commit') ?? '',
    keepGitDir: flag('keep-git-dir'),
    submodules: flag('submodules'),
  }
}

function split(text: string, by: string): [string, string] {
  const at = text.indexOf(by)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

/** Checks a Git reference out. @throws TcomposeError UNAVAILABLE without git, FAILED, CORRUPT for another commit */
export async function fetchGit(
  run: Pick<BuildRun, 'paths' | 'signal' | 'db' | 'env'>,
  url: string,
  options: { readonly checksum: string; readonly keepGitDir: boolean | undefined; readonly submodules: boolean },
): Promise<Checkout> {
  const reference = parseGitUrl(url)
  const temporary = makeTemporary(run.paths)
  const path = `${temporary.path}/checkout`
  const env = { PATH: run.env.PATH ?? '', HOME: run.env.HOME ?? '/', GIT_TERMINAL_PROMPT: '0', ...sshEnv(run.env) }
  const git = async (...args: string[]) =>
    (await exec('git', ['-c', 'protocol.ext.allow=never', ...args], { env, signal: run.signal })).stdout.trim()
  try {
    if (reference.ref.startsWith('-') || reference.remote.startsWith('-')) {
      throw new TcomposeError('INVALID', `invalid Git URL ${url}`)
    }
    await git('init', '-q', path)
    const inRepository = (...args: string[]) => git('-C', path, ...args)
    await inRepository('remote', 'add', 'origin', '--', reference.remote)
    const ref = reference.ref || 'HEAD'
    try {
      await inRepository('fetch', '-q', '--depth', '1', 'origin', ref)
    } catch (error) {
      if (!/^[0-9a-f]{7,40}$/.test(ref)) throw error
      // A commit that the server does not give by itself is in the history of something.
      await inRepository('fetch', '-q', '--tags', 'origin', '+refs/heads/*:refs/remotes/origin/*')
      await inRepository('update-ref', 'FETCH_HEAD', await inRepository('rev-parse', `${ref}^{commit}`))
    }
    const commit = await inRepository('rev-parse', 'FETCH_HEAD^{commit}')
    const wanted = options.checksum || reference.checksum
    if (wanted !== '' && !commit.startsWith(wanted)) {
      throw new TcomposeError('CORRUPT', `expected checksum to match ${wanted}, got ${commit}`)
    }
    await inRepository('checkout', '-q', '--detach', commit)
    if (options.submodules && reference.submodules !== false) {
      await inRepository('submodule', '-q', 'update', '--init', '--recursive', '--depth', '1')
    }
    if (!(options.keepGitDir ?? reference.keepGitDir)) rmSync(`${path}/.git`, { recursive: true, force: true })
    const root = reference.subdirectory === '' ? path : `${path}/${reference.subdirectory.replace(/\.\.(\/|$)/g, '')}`
    return {
      path: root,
      commit,
      tree: createContextTree({
        root,
        ignore: createIgnoreMatcher([]),
        digests: createFileDigests(run.db),
        description: url,
      }),
      [Symbol.asyncDispose]: () => temporary[Symbol.asyncDispose](),
    }
  } catch (error) {
    await temporary[Symbol.asyncDispose]()
    throw error
  }
}

function sshEnv(env: NodeJS.ProcessEnv): Record<string, string> {
  return env.SSH_AUTH_SOCK === undefined ? {} : { SSH_AUTH_SOCK: env.SSH_AUTH_SOCK }
}
