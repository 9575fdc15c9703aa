import { TcomposeError } from '../base/errors.ts'
import { parseSizeBytes } from '../base/size.ts'
import type { Service } from '../compose/types.ts'
import type { MountSpec } from '../engine/containers/spec.ts'
import type { SpecContext } from './container-spec.ts'

type ServiceVolume = NonNullable<Service['volumes']>[number]

/** Volumes, tmpfs, configs and secrets of a service, and the anonymous volumes that a recreated container takes over. */
export function toMounts(service: Service, context: SpecContext): readonly MountSpec[] {
  const mounts: MountSpec[] = [
    ...(service.volumes ?? []).map((volume) => toMount(volume, context)),
    ...asList(service.tmpfs).map(toTmpfs),
    ...(service.configs ?? []).map((ref) => toFileMount('config', ref, context)),
    ...(service.secrets ?? []).map((ref) => toFileMount('secret', ref, context)),
  ]
  const taken = new Set(mounts.map((mount) => mount.target))
  // What the image declares as VOLUME and the file does not mention: those of the container before.
  for (const [target, source] of context.inherited) {
    if (!taken.has(target)) mounts.push({ kind: 'volume', source, target })
  }
  return mounts
}

function toMount(volume: ServiceVolume, context: SpecContext): MountSpec {
  const { target } = volume
  const readOnly = volume.read_only ?? false
  switch (volume.type) {
    case 'bind':
      return {
        kind: 'bind',
        source: volume.source ?? '',
        target,
        readOnly,
        createHostPath: volume.bind?.create_host_path ?? true,
        ...(volume.bind?.propagation ? { propagation: volume.bind.propagation as 'private' } : {}),
        ...(volume.bind?.recursive ? { recursive: volume.bind.recursive as 'enabled' } : {}),
        ...(volume.consistency ? { consistency: volume.consistency } : {}),
      }
    case 'volume': {
      const source = volume.source ? volumeName(volume.source, context) : context.inherited.get(target)
      return {
        kind: 'volume',
        ...(source === undefined ? {} : { source }),
        target,
        readOnly,
        nocopy: volume.volume?.nocopy ?? false,
        ...(volume.volume?.subpath ? { subpath: volume.volume.subpath } : {}),
        ...(volume.volume?.labels ? { labels: volume.volume.labels as Readonly<Record<string, string>> } : {}),
      }
    }
    case 'tmpfs':
      return {
        kind: 'tmpfs',
        target,
        readOnly,
        ...(volume.tmpfs?.size === undefined ? {} : { sizeBytes: toBytes(volume.tmpfs.size) }),
        ...(volume.tmpfs?.mode === undefined ? {} : { mode: toMode(volume.tmpfs.mode) }),
      }
    case 'image':
      return {
        kind: 'image',
        source: volume.source ?? '',
        target,
        ...(volume.image?.subpath ? { subpath: volume.image.subpath } : {}),
      }
    default:
      throw new TcomposeError(
        'UNSUPPORTED',
        `volume type ${volume.type} is not supported (service ${context.service})`,
        {
          hint: 'use bind, volume, tmpfs or image',
        },
      )
  }
}

function volumeName(key: string, context: SpecContext): string {
  const volume = context.project.volumes?.[key]
  if (!volume) throw new TcomposeError('INVALID', `service ${context.service} refers to undefined volume ${key}`)
  return volume.name ?? key
}

/** `/run:size=64m,mode=1777` */
function toTmpfs(text: string): MountSpec {
  const at = text.indexOf(':')
  if (at < 0) return { kind: 'tmpfs', target: text }
  return { kind: 'tmpfs', target: text.slice(0, at), options: text.slice(at + 1).split(',') }
}

interface FileReference {
  readonly source?: string | undefined
  readonly target?: string | undefined
  readonly uid?: string | undefined
  readonly gid?: string | undefined
  readonly mode?: string | number | undefined
}

/**
 * A config or secret: a file is bound as it is (owner and mode are the file's own); content and variables are written
 * into the container.
 */
function toFileMount(kind: 'config' | 'secret', ref: FileReference, context: SpecContext): MountSpec {
  const source = ref.source ?? ''
  const definition = (kind === 'config' ? context.project.configs : context.project.secrets)?.[source]
  if (!definition) {
    throw new TcomposeError('INVALID', `service ${context.service} refers to undefined ${kind} ${source}`)
  }
  if (definition.external) {
    throw new TcomposeError('UNSUPPORTED', `unsupported external ${kind} ${source}`, {
      hint: 'there is no swarm to keep it: use file, environment or content',
    })
  }
  const folder = kind === 'config' ? '/' : '/run/secrets/'
  const target = ref.target
    ? ref.target.startsWith('/')
      ? ref.target
      : `${folder}${ref.target}`
    : `${folder}${source}`
  const content = contentOf(kind, source, definition, context)
  if (content === undefined) {
    return { kind: 'bind', source: definition.file ?? '', target, readOnly: true, createHostPath: false }
  }
  return {
    kind: 'data',
    target,
    data: content,
    uid: Number(ref.uid ?? 0),
    gid: Number(ref.gid ?? 0),
    mode: ref.mode === undefined ? 0o444 : toMode(ref.mode),
  }
}

function contentOf(
  kind: 'config' | 'secret',
  name: string,
  definition: {
    readonly content?: string | undefined
    readonly environment?: string | undefined
    readonly file?: string | undefined
  },
  context: SpecContext,
): string | undefined {
  if (definition.content !== undefined) return definition.content
  if (definition.environment) {
    const value = context.project.environment?.[definition.environment]
    if (value === undefined) {
      throw new TcomposeError(
        'INVALID',
        `environment variable ${JSON.stringify(definition.environment)} required by ${kind} ${JSON.stringify(name)} is not set`,
      )
    }
    return value
  }
  if (definition.file) return undefined
  throw new TcomposeError('INVALID', `${kind} ${name} has no source: file, environment or content is expected`)
}

/** In canonical form a mode is a number, or octal digits. */
function toMode(mode: string | number): number {
  return typeof mode === 'number' ? mode : Number.parseInt(mode.replace(/^0o?/, ''), 8)
}

function toBytes(size: string | number): number {
  return typeof size === 'number' ? size : /^\d+$/.test(size) ? Number(size) : parseSizeBytes(size)
}

function asList(value: string | readonly string[] | undefined): readonly string[] {
  return value === undefined ? [] : typeof value === 'string' ? [value] : value
}

export interface VolumesFrom {
  /** Name or id of the container whose mounts are shown here too. */
  readonly container: string
  readonly readOnly: boolean
}

/** `volumes_from: [service[:ro], container:name[:ro]]` */
export function toVolumesFrom(service: Service, context: SpecContext): readonly VolumesFrom[] {
  return (service.volumes_from ?? []).map((text) => {
    const parts = text.split(':')
    const readOnly = parts.at(-1) === 'ro'
    if (parts[0] === 'container') return { container: parts[1] ?? '', readOnly }
    return { container: context.containerOf(parts[0] ?? '', 'volume'), readOnly }
  })
}
