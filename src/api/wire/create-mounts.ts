import { TcomposeError } from '../../base/errors.ts'
import type { MountSpec } from '../../engine/containers/spec.ts'
import type { JsonObject } from '../exchange.ts'
import { badRequest } from '../http-error.ts'
import { bool, list, map, object, strings, text, whole } from './read.ts'

type BindMount = Extract<MountSpec, { kind: 'bind' }>

const PROPAGATIONS: readonly string[] = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave']

/** `Binds`, `Mounts`, `Tmpfs` and `Volumes` of a create request. Undefined when there are none. */
export function readMounts(body: JsonObject, host: JsonObject): readonly MountSpec[] | undefined {
  const mounts: MountSpec[] = [
    ...(strings(host, 'Binds') ?? []).map(readBind),
    ...(list(host, 'Mounts') ?? []).map(readMount),
    ...Object.entries(map(host, 'Tmpfs') ?? {}).map(
      ([target, options]): MountSpec => ({ kind: 'tmpfs', target, options: options === '' ? [] : options.split(',') }),
    ),
  ]
  if ((strings(host, 'VolumesFrom') ?? []).length > 0) {
    throw new TcomposeError('UNSUPPORTED', 'VolumesFrom is not supported')
  }
  const taken = new Set(mounts.map(({ target }) => target))
  for (const target of Object.keys(object(body, 'Volumes'))) {
    if (!taken.has(target)) mounts.push({ kind: 'volume', target })
  }
  return mounts.length > 0 ? mounts : undefined
}

/** `source:target[:modes]`; a source that is no path is a volume's name. */
export function readBind(given: string): MountSpec {
  const parts = given.split(':')
  const [source = '', target = '', modes = ''] = parts
  if (parts.length < 2 || parts.length > 3 || !target.startsWith('/')) {
    throw badRequest(`invalid volume specification: '${given}'`)
  }
  let readOnly = false
  let nocopy = false
  let propagation: BindMount['propagation']
  for (const mode of modes.split(',').filter(Boolean)) {
    if (mode === 'ro') readOnly = true
    else if (mode === 'nocopy') nocopy = true
    else if (PROPAGATIONS.includes(mode)) propagation = mode as BindMount['propagation']
    else if (!['rw', 'z', 'Z', 'cached', 'delegated', 'consistent'].includes(mode)) {
      throw badRequest(`invalid mode: ${mode}`)
    }
  }
  if (source.startsWith('/')) {
    return { kind: 'bind', source, target, readOnly, createHostPath: true, ...(propagation ? { propagation } : {}) }
  }
  return { kind: 'volume', source, target, readOnly, ...(nocopy ? { nocopy } : {}) }
}

function readMount(given: JsonObject): MountSpec {
  const target = text(given, 'Target')
  const source = text(given, 'Source')
  const readOnly = bool(given, 'ReadOnly')
  const type = text(given, 'Type')
  if (!target) throw badRequest('invalid mount config: field Target must not be empty')
  switch (type) {
    case 'bind': {
      const options = object(given, 'BindOptions')
      const propagation = text(options, 'Propagation') as BindMount['propagation']
      if (!source) throw badRequest('invalid mount config for type "bind": field Source must not be empty')
      return {
        kind: 'bind',
        source,
        target,
        readOnly,
        ...(bool(options, 'CreateMountpoint') ? { createHostPath: true } : {}),
        ...(propagation ? { propagation } : {}),
        ...(bool(options, 'NonRecursive') ? { recursive: 'disabled' } : {}),
      }
    }
    case 'volume': {
      const options = object(given, 'VolumeOptions')
      const labels = map(options, 'Labels')
      const driver = object(options, 'DriverConfig')
      const isLocal = [undefined, 'local'].includes(text(driver, 'Name'))
      if (!isLocal || Object.keys(map(driver, 'Options') ?? {}).length > 0) {
        throw new TcomposeError('UNSUPPORTED', 'VolumeOptions.DriverConfig of a mount is not supported')
      }
      return {
        kind: 'volume',
        target,
        readOnly,
        ...(source ? { source } : {}),
        ...(bool(options, 'NoCopy') ? { nocopy: true } : {}),
        ...(text(options, 'Subpath') ? { subpath: text(options, 'Subpath') } : {}),
        ...(labels ? { labels } : {}),
      }
    }
    case 'tmpfs': {
      const options = object(given, 'TmpfsOptions')
      const sizeBytes = whole(options, 'SizeBytes')
      const mode = whole(options, 'Mode')
      return { kind: 'tmpfs', target, readOnly, ...(sizeBytes ? { sizeBytes } : {}), ...(mode ? { mode } : {}) }
    }
    case 'image': {
      const subpath = text(object(given, 'ImageOptions'), 'Subpath')
      if (!source) throw badRequest('invalid mount config for type "image": field Source must not be empty')
      return { kind: 'image', source, target, ...(subpath ? { subpath } : {}) }
    }
    default:
      throw new TcomposeError('UNSUPPORTED', `mount type ${type ?? 'unknown'} is not supported`)
  }
}
