import { TcomposeError } from '../../base/errors.ts'
import { cleanPath } from './config.ts'
import type { MountSpec } from './spec.ts'

/** A volume mount whose name may still have to be made up. */
export type VolumeMountSpec = Extract<MountSpec, { kind: 'volume' }> & { readonly fromImage?: boolean }

export type PlannedMount = Exclude<MountSpec, { kind: 'volume' }> | VolumeMountSpec

/**
 * The mounts of a container: those asked for, and an anonymous volume for each VOLUME of the image that none of them
 * covers. Targets are cleaned; a relative one, `/` and two for one target are errors in Docker's words.
 * @throws TcomposeError INVALID
 */
export function planMounts(
  mounts: readonly MountSpec[],
  imageVolumes: readonly string[],
  workingDir: string,
): readonly PlannedMount[] {
  const planned = mounts.map((mount) => {
    // Compose lets the target of a config or secret be relative; that is settled before it comes here.
    const target = mount.target.startsWith('/') ? cleanPath(mount.target) : undefined
    if (target === undefined) {
      throw new TcomposeError('INVALID', `invalid mount path: '${mount.target}' mount path must be absolute`)
    }
    if (target === '/') {
      throw new TcomposeError('INVALID', "invalid specification: destination can't be '/'")
    }
    if (mount.kind === 'bind' && !mount.source.startsWith('/')) {
      throw new TcomposeError(
        'INVALID',
        `invalid mount config for type "bind": invalid mount path: '${mount.source}' mount path must be absolute`,
      )
    }
    return { ...mount, target }
  })
  const seen = new Set<string>()
  for (const { target } of planned) {
    if (seen.has(target)) throw new TcomposeError('INVALID', `Duplicate mount point: ${target}`)
    seen.add(target)
  }
  const fromImage = imageVolumes
    .map((volume) => cleanPath(volume.startsWith('/') ? volume : `${workingDir}/${volume}`))
    .filter((target, index, all) => target !== '/' && !seen.has(target) && all.indexOf(target) === index)
    .map((target): PlannedMount => ({ kind: 'volume', target, fromImage: true }))
  return [...planned, ...fromImage]
}
