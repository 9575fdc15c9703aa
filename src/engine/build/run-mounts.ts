import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { posix } from 'node:path'
import { Readable } from 'node:stream'
import { digestOf } from '../../base/digest.ts'
import { isTcomposeError, TcomposeError } from '../../base/errors.ts'
import { randomHex } from '../../base/id.ts'
import type { Mount } from '../../dockerfile/mount.ts'
import { acquireLock } from '../../platform/lock.ts'
import { removeTree, unpackTar } from '../../runtime/fs-worker.ts'
import { resolveRootPath } from '../../runtime/root-reader.ts'
import type { Database } from '../state/database.ts'
import type { EnginePaths } from '../state/paths.ts'
import { contextPath } from './copy-sources.ts'
import { keepAll } from './layer-tree.ts'
import type { PreparedMount } from './run-step.ts'
import type { SourceTree } from './source-tree.ts'
import { writeTar } from './tar.ts'

export interface MountInputs {
  readonly db: Database
  readonly paths: EnginePaths
  readonly bundle: string
  /** Private directory on the disk. */
  readonly scratch: string
  readonly cwd: string
  readonly cacheNamespace: string
  /** Cache mounts start empty. */
  readonly noCache: boolean
  readonly secret: (id: string) => Uint8Array | undefined
  /** Path of an agent's socket. */
  readonly ssh: (id: string) => string | undefined
  /** Files of a mount's `from`. */
  readonly tree: (mount: Mount) => Promise<SourceTree>
  /** Layers of it, top first, when it is a stage or an image; a context has none. */
  readonly lowers: (mount: Mount) => Promise<readonly string[] | undefined>
  readonly signal?: AbortSignal | undefined
}

export interface PreparedMounts {
  readonly mounts: readonly PreparedMount[]
  readonly env: readonly string[]
}

/** Absolute place of a mount; '' where it has none. @throws TcomposeError INVALID */
export function mountTarget(mount: Mount, cwd: string, sshIndex: number): string {
  const fallback =
    mount.type === 'secret'
      ? mount.env !== undefined && mount.target === ''
        ? ''
        : `/run/secrets/${posix.basename(mount.id || mount.source)}`
      : mount.type === 'ssh'
        ? `/run/buildkit/ssh_agent.${sshIndex}`
        : ''
  const target = mount.target || fallback
  if (target === '') {
    if (mount.type === 'secret') return ''
    throw new TcomposeError('INVALID', `missing target for ${mount.type} mount`)
  }
  const absolute = posix.resolve(cwd || '/', target)
  if (absolute === '/') throw new TcomposeError('INVALID', `invalid mount target "/"`)
  return absolute
}

/** Makes everything ready that the mounts of a RUN step show. `undo` takes it away again. */
export async function prepareMounts(
  mounts: readonly Mount[],
  inputs: MountInputs,
  undo: AsyncDisposableStack,
): Promise<PreparedMounts> {
  const prepared: PreparedMount[] = []
  const env: string[] = []
  let sshIndex = 0
  for (const [index, mount] of mounts.entries()) {
    const target = mountTarget(mount, inputs.cwd, sshIndex)
    switch (mount.type) {
      case 'tmpfs':
        prepared.push({
          mount: {
            kind: 'tmpfs',
            target,
            ...(mount.sizeBytes > 0 ? { sizeBytes: mount.sizeBytes } : {}),
            options: ['nosuid', 'nodev'],
          },
        })
        break
      case 'secret': {
        const made = secretMount(mount, target, inputs, index)
        if (made.mount) prepared.push(made.mount)
        env.push(...made.env)
        break
      }
      case 'ssh': {
        const made = await sshMount(mount, target, inputs, index, undo)
        if (made) {
          prepared.push(made)
          if (sshIndex === 0) env.push(`SSH_AUTH_SOCK=${target}`)
        }
        sshIndex++
        break
      }
      case 'cache':
        prepared.push(await cacheMount(mount, target, inputs, undo))
        break
      case 'bind':
        prepared.push(await bindMount(mount, target, inputs, index))
        break
    }
  }
  // A mount below another must come after it.
  prepared.sort((a, b) => a.mount.target.split('/').length - b.mount.target.split('/').length)
  return { mounts: prepared, env }
}

function secretMount(mount: Mount, target: string, inputs: MountInputs, index: number) {
  const id = mount.id || mount.source || posix.basename(mount.target)
  const value = inputs.secret(id)
  if (value === undefined) {
    if (mount.required) throw new TcomposeError('NOT_FOUND', `secret ${id}: not found`)
    return { env: [] }
  }
  const env = mount.env === undefined ? [] : [`${mount.env}=${Buffer.from(value).toString()}`]
  if (target === '' || (mount.env !== undefined && mount.target === '')) return { env }
  // The bundle lies in memory: a secret never reaches the disk.
  const source = `${inputs.bundle}/secret-${index}`
  writeFileSync(source, value, { mode: 0o400 })
  chmodSync(source, mount.mode ?? 0o400)
  chownSync(source, mount.uid ?? 0, mount.gid ?? 0)
  return { env, mount: { mount: { kind: 'bind', source, target, readOnly: true } } satisfies PreparedMount }
}

async function sshMount(
  mount: Mount,
  target: string,
  inputs: MountInputs,
  index: number,
  undo: AsyncDisposableStack,
): Promise<PreparedMount | undefined> {
  const id = mount.id || mount.source || 'default'
  const agent = inputs.ssh(id)
  if (agent === undefined) {
    if (mount.required) throw new TcomposeError('NOT_FOUND', `unset ssh forward key ${id}`)
    return undefined
  }
  const source = `${inputs.bundle}/ssh-${index}`
  const server = await relay(source, agent)
  undo.defer(() => new Promise<void>((resolve) => server.close(() => resolve())))
  chmodSync(source, mount.mode ?? 0o600)
  chownSync(source, mount.uid ?? 0, mount.gid ?? 0)
  return { mount: { kind: 'bind', source, target } }
}

/** A socket of our own in front of the agent's, so that it can have an owner and a mode. */
function relay(path: string, agent: string): Promise<Server> {
  const server = createServer((client) => {
    const upstream = connect(agent)
    const end = () => {
      client.destroy()
      upstream.destroy()
    }
    client.on('error', end).on('close', end)
    upstream.on('error', end).on('close', end)
    client.pipe(upstream)
    upstream.pipe(client)
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => resolve(server))
  })
}

async function cacheMount(
  mount: Mount,
  target: string,
  inputs: MountInputs,
  undo: AsyncDisposableStack,
): Promise<PreparedMount> {
  const id = mount.id || target
  const name = digestOf(JSON.stringify([inputs.cacheNamespace, id, mount.from])).slice(7, 39)
  const { directory, fresh } = await cacheDirectory(name, mount, inputs, undo)
  if (fresh) {
    if (mount.from !== '') await fill(directory, await inputs.tree(mount), '', inputs.signal)
    chmodSync(directory, mount.mode ?? 0o755)
    chownSync(directory, mount.uid ?? 0, mount.gid ?? 0)
  }
  let source = directory
  if (mount.source !== '') {
    const path = `/${contextPath(mount.source)}`
    // Whatever links a step left in the cache: none leads out of it.
    let resolved = resolveRootPath([directory], path)
    if (resolved === undefined) {
      if (mount.readOnly) throw new TcomposeError('NOT_FOUND', `cache mount ${target}: ${mount.source} not found`)
      const parent = resolveRootPath([directory], posix.dirname(path))
      if (parent === undefined) throw new TcomposeError('NOT_FOUND', `cache mount ${target}: ${mount.source} not found`)
      resolved = posix.join(parent, posix.basename(path))
      mkdirSync(directory + resolved, { mode: 0o755 })
    }
    source = posix.join(directory, resolved)
  }
  return { mount: { kind: 'bind', source, target, readOnly: mount.readOnly } }
}

async function cacheDirectory(name: string, mount: Mount, inputs: MountInputs, undo: AsyncDisposableStack) {
  const { paths, db } = inputs
  mkdirSync(paths.cacheMounts, { recursive: true, mode: 0o700 })
  for (let copy = 0; ; copy++) {
    const directory = `${paths.cacheMounts}/${name}${copy === 0 ? '' : `.${copy}`}`
    if (mount.sharing !== 'shared') {
      try {
        const noWait = mount.sharing === 'private'
        undo.use(await acquireLock(db.secret, `cache-mount/${name}.${copy}`, { signal: inputs.signal, noWait }))
      } catch (error) {
        if (mount.sharing === 'private' && isTcomposeError(error, 'CONFLICT')) continue
        throw error
      }
    }
    if (inputs.noCache) {
      // Others may still use the old one: it goes away under another name.
      const old = `${directory}.old-${randomHex(8)}`
      const { renameSync, existsSync } = await import('node:fs')
      if (existsSync(directory)) {
        renameSync(directory, old)
        await removeTree(old)
      }
    }
    try {
      mkdirSync(directory, { mode: 0o755 })
      return { directory, fresh: true }
    } catch (error) {
      if ((error as { code?: string }).code !== 'EEXIST') throw error
      return { directory, fresh: false }
    }
  }
}

async function bindMount(mount: Mount, target: string, inputs: MountInputs, index: number): Promise<PreparedMount> {
  const tree = await inputs.tree(mount)
  const path = contextPath(mount.source)
  const found = await tree.stat(path)
  if (!found) {
    const why = tree.explain(path)
    throw new TcomposeError(
      'NOT_FOUND',
      `mount source /${path}: not found in ${tree.description}${why ? `: ${why}` : ''}`,
    )
  }
  const lowers = mount.readOnly ? await inputs.lowers(mount) : undefined
  if (lowers) {
    const image = { path: `${inputs.bundle}/image-${index}`, lowers }
    return {
      mount: { kind: 'bind', source: posix.join(image.path, found.path), target, readOnly: true },
      image,
    }
  }
  // A copy: what is ignored must not be seen, and what a step writes must be lost.
  const directory = `${inputs.scratch}/mount-${index}`
  mkdirSync(directory, { mode: 0o755 })
  await fill(directory, tree, found.path, inputs.signal)
  const source = found.kind === 'directory' ? directory : `${directory}/${posix.basename(found.path)}`
  return { mount: { kind: 'bind', source, target, readOnly: mount.readOnly } }
}

async function fill(directory: string, tree: SourceTree, path: string, signal: AbortSignal | undefined): Promise<void> {
  const found = await tree.stat(path)
  const top = found?.kind === 'directory' ? '' : posix.basename(path)
  async function* entries() {
    for await (const { header, body } of tree.entries(path, keepAll)) {
      const name = header.name === '' ? top : header.name
      if (name !== '') yield { header: { ...header, name }, body }
    }
  }
  const tar = Readable.from(writeTar(entries()), { objectMode: false })
  await unpackTar({ kind: 'directory', path: directory }, '/', tar, { mode: 'plain' }, signal)
}
