import { mkdirSync, rmdirSync, statSync } from 'node:fs'
import { errnoOf, TcomposeError } from '../../base/errors.ts'
import { run } from '../../platform/exec.ts'
import { readMounts } from '../../platform/mounts.ts'
import type { EnginePaths } from '../state/paths.ts'
import type { Volume } from './types.ts'

/** What the options of the `local` driver ask for, besides a plain directory. */
export type LocalBacking =
  | { readonly kind: 'directory' }
  /** `o: bind`: the device itself is the content. */
  | { readonly kind: 'bind'; readonly path: string }
  | { readonly kind: 'mount'; readonly type: string; readonly device: string; readonly options: string }

const KNOWN = ['type', 'o', 'device', 'size']

/** @throws TcomposeError INVALID or UNSUPPORTED, naming volume and option */
export function readLocalOptions(name: string, options: Readonly<Record<string, string>>): LocalBacking {
  for (const option of Object.keys(options)) {
    if (!KNOWN.includes(option))
      throw new TcomposeError('INVALID', `create ${name}: invalid option: ${JSON.stringify(option)}`, {
        hint: `the local driver knows ${KNOWN.join(', ')}`,
      })
  }
  if (options.size !== undefined)
    throw new TcomposeError('UNSUPPORTED', `create ${name}: option size needs quota support, which is not there`)
  if (options.type === undefined && options.o === undefined && options.device === undefined)
    return { kind: 'directory' }
  const o = options.o ?? ''
  if (options.device === undefined)
    throw new TcomposeError('INVALID', `create ${name}: missing device in volume options`)
  const flags = o.split(',')
  if (flags.includes('bind') || flags.includes('rbind')) {
    if (!options.device.startsWith('/'))
      throw new TcomposeError('INVALID', `create ${name}: device of a bind must be an absolute path: ${options.device}`)
    return { kind: 'bind', path: options.device }
  }
  if (options.type === undefined) throw new TcomposeError('INVALID', `create ${name}: missing type in volume options`)
  return { kind: 'mount', type: options.type, device: options.device, options: o }
}

export function mountPathOf(paths: EnginePaths, name: string): string {
  return `${paths.run}/volumes/${name}`
}

/** The directory of a volume, ready to be bound; mounts what must be mounted. Idempotent. */
export async function openVolume(paths: EnginePaths, volume: Volume): Promise<string> {
  const backing = readLocalOptions(volume.name, volume.driverOpts)
  switch (backing.kind) {
    case 'directory':
      return volume.mountpoint
    case 'bind':
      try {
        statSync(backing.path)
      } catch (cause) {
        throw new TcomposeError(
          'NOT_FOUND',
          `failed to mount local volume: mount ${backing.path}:${volume.mountpoint}, flags: 0x1000: no such file or directory`,
          {
            hint: `make ${backing.path}, or change the volume's device`,
            cause,
          },
        )
      }
      return backing.path
    case 'mount': {
      const path = mountPathOf(paths, volume.name)
      if (isMounted(path)) return path
      mkdirSync(path, { recursive: true, mode: 0o711 })
      const args = [
        '-t',
        backing.type,
        ...(backing.options === '' ? [] : ['-o', backing.options]),
        '--',
        backing.device,
        path,
      ]
      try {
        await run('mount', args)
      } catch (cause) {
        rmdirSync(path)
        throw new TcomposeError('FAILED', `failed to mount local volume ${volume.name}: ${(cause as Error).message}`, {
          cause,
        })
      }
      return path
    }
  }
}

export async function closeVolume(paths: EnginePaths, name: string): Promise<void> {
  const path = mountPathOf(paths, name)
  if (isMounted(path)) await run('umount', ['-l', path])
  try {
    rmdirSync(path)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}

/** Paths mounted below the run directory's `volumes`, by volume name. */
export function mountedVolumes(paths: EnginePaths): readonly string[] {
  const prefix = `${paths.run}/volumes/`
  return mountPoints()
    .filter((path) => path.startsWith(prefix))
    .map((path) => path.slice(prefix.length))
}

function isMounted(path: string): boolean {
  return mountPoints().includes(path)
}

function mountPoints(): readonly string[] {
  return readMounts().map((mount) => mount.mountPoint)
}
