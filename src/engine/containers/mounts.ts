import { chownSync, closeSync, existsSync, fchmodSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { isTcomposeError, TcomposeError } from '../../base/errors.ts'
import { randomId } from '../../base/id.ts'
import type { SpecMount } from '../../runtime/oci-spec-input.ts'
import { resolveRootPath } from '../../runtime/root-reader.ts'
import type { Image } from '../images/types.ts'
import type { ContainerContext } from './deps.ts'
import type { PlannedMount, VolumeMountSpec } from './mount-plan.ts'
import type { MountSpec } from './spec.ts'
import type { ContainerMount } from './types.ts'

interface MakeInput {
  readonly id: string
  readonly image: Image
  readonly planned: readonly PlannedMount[]
  readonly directory: string
  readonly labels: Readonly<Record<string, string>>
}

/**
 * Makes what the mounts of a new container stand on: host directories of short bind syntax, volumes with the image's
 * content, files of configs and secrets. Gives the mounts as inspect shows them; data files are none.
 */
export async function makeMounts(context: ContainerContext, input: MakeInput): Promise<readonly ContainerMount[]> {
  const mounts: ContainerMount[] = []
  for (const [index, mount] of input.planned.entries()) {
    switch (mount.kind) {
      case 'bind':
        ensureSource(mount)
        mounts.push({
          kind: 'bind',
          source: mount.source,
          target: mount.target,
          readOnly: mount.readOnly ?? false,
          propagation: mount.propagation ?? 'rprivate',
        })
        break
      case 'tmpfs':
        mounts.push({
          kind: 'tmpfs',
          source: '',
          target: mount.target,
          readOnly: mount.readOnly ?? false,
          propagation: '',
        })
        break
      case 'image': {
        const image = await (await context.images()).get(mount.source)
        mounts.push({ kind: 'image', source: image.id, target: mount.target, readOnly: true, propagation: '' })
        break
      }
      case 'data':
        writeData(`${input.directory}/data`, String(index), mount)
        break
      case 'volume':
        mounts.push(await makeVolume(context, input, mount))
        break
    }
  }
  return mounts
}

async function makeVolume(
  context: ContainerContext,
  input: MakeInput,
  mount: VolumeMountSpec,
): Promise<ContainerMount> {
  const volumes = await context.volumes()
  const anonymous = !mount.source
  const name = mount.source || randomId()
  // Noted before it is made: a create that is cut short finds it by this and takes it away again.
  context.db.run('INSERT OR IGNORE INTO volume_users (volume, container_id) VALUES (?, ?)', name, input.id)
  const existing = anonymous ? undefined : await volumes.find(name)
  const volume =
    existing ?? (await volumes.create({ name, anonymous, ...(mount.labels ? { labels: mount.labels } : {}) }))
  await volumes.use(volume.name, input.id)
  if (!mount.nocopy && !mount.subpath) {
    await volumes.populate(volume.name, await (await context.images()).root(input.image.id), mount.target)
  }
  return {
    kind: 'volume',
    name: volume.name,
    source: volume.mountpoint,
    target: mount.target,
    readOnly: mount.readOnly ?? false,
    propagation: '',
    ...(anonymous ? { anonymous: true } : {}),
  }
}

/** @throws TcomposeError INVALID `bind source path does not exist: X` when it must exist and does not */
function ensureSource(mount: Extract<MountSpec, { kind: 'bind' }>): void {
  if (existsSync(mount.source)) return
  if (!mount.createHostPath) {
    throw new TcomposeError(
      'INVALID',
      `invalid mount config for type "bind": bind source path does not exist: ${mount.source}`,
    )
  }
  try {
    mkdirSync(mount.source, { recursive: true, mode: 0o755 })
  } catch (cause) {
    throw new TcomposeError('INVALID', `error while creating mount source path '${mount.source}'`, { cause })
  }
}

function writeData(directory: string, name: string, mount: Extract<MountSpec, { kind: 'data' }>): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const fd = openSync(`${directory}/${name}`, 'w', 0o600)
  try {
    writeSync(fd, mount.data)
    fchmodSync(fd, mount.mode & 0o7777)
  } finally {
    closeSync(fd)
  }
  chownSync(`${directory}/${name}`, mount.uid, mount.gid)
}

/** Lets go of a container's volumes; with `removeAnonymous` also ends those that were made for it alone. */
export async function releaseMounts(
  context: ContainerContext,
  id: string,
  mounts: readonly ContainerMount[],
  options: { readonly removeAnonymous: boolean },
): Promise<void> {
  const names = new Set([
    ...mounts.flatMap((mount) => (mount.kind === 'volume' && mount.name !== undefined ? [mount.name] : [])),
    // A create that was cut short has users that its record does not know yet.
    ...context.db.all('SELECT volume FROM volume_users WHERE container_id = ?', id).map((row) => row.volume as string),
  ])
  if (names.size === 0) return
  const volumes = await context.volumes()
  for (const name of names) {
    const volume = await volumes.find(name)
    await volumes.release(name, id)
    if (!options.removeAnonymous || !volume?.anonymous) continue
    try {
      await volumes.remove(name)
    } catch (error) {
      // Another container has taken it over: a recreated one of the same service, or one with volumes_from.
      if (!isTcomposeError(error, 'CONFLICT') && !isTcomposeError(error, 'NOT_FOUND')) throw error
    }
  }
}

/** An image shown inside a container: the shim mounts its layers at `path`, from which runc binds it. */
export interface ImageMount {
  readonly path: string
  readonly lowers: readonly string[]
}

/** What the start of a container mounts: binds and tmpfs for runc, overlays for the shim to mount before. */
export async function startMounts(
  context: ContainerContext,
  input: {
    readonly id: string
    readonly planned: readonly PlannedMount[]
    readonly mounts: readonly ContainerMount[]
    readonly directory: string
    readonly bundle: string
  },
): Promise<{ readonly mounts: readonly SpecMount[]; readonly images: readonly ImageMount[] }> {
  const result: SpecMount[] = []
  const images: ImageMount[] = []
  for (const [index, mount] of input.planned.entries()) {
    const { target } = mount
    switch (mount.kind) {
      case 'tmpfs':
        result.push(mount)
        break
      case 'bind':
        ensureSource(mount)
        result.push({ ...mount, propagation: mount.propagation ?? 'rprivate' })
        break
      case 'data':
        result.push({ kind: 'bind', source: `${input.directory}/data/${index}`, target, propagation: 'rprivate' })
        break
      case 'image': {
        const path = `${input.bundle}/image-${index}`
        const { lowers } = await (await context.images()).root(mount.source)
        images.push({ path, lowers })
        const source = mount.subpath ? subpathOf(path, lowers, mount.subpath) : path
        result.push({ kind: 'bind', source, target, readOnly: true, propagation: 'rprivate' })
        break
      }
      case 'volume': {
        const name = input.mounts.find((made) => made.kind === 'volume' && made.target === target)?.name
        if (name === undefined) throw new Error(`no volume was made for ${target} of container ${input.id}`)
        const root = await (await context.volumes()).use(name, input.id)
        const source = mount.subpath ? subpathOf(root, [root], mount.subpath) : root
        result.push({ kind: 'bind', source, target, readOnly: mount.readOnly ?? false })
        break
      }
    }
  }
  return { mounts: result, images }
}

/**
 * The host path of a subpath, with the links inside the volume or image followed there and not on the host.
 * @throws TcomposeError INVALID for one that climbs, NOT_FOUND for one that is not there
 */
function subpathOf(root: string, layers: readonly string[], subpath: string): string {
  if (subpath.startsWith('/') || subpath.split('/').includes('..')) {
    throw new TcomposeError('INVALID', `subpath ${JSON.stringify(subpath)} must be a relative path inside the volume`)
  }
  const resolved = resolveRootPath(layers, subpath)
  if (resolved === undefined) throw new TcomposeError('NOT_FOUND', `subpath ${JSON.stringify(subpath)} does not exist`)
  return `${root}${resolved}`
}
