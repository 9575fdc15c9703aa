import type { Container, Containers } from '../containers/types.ts'
import type { Events } from '../events/types.ts'
import { parseChanges } from './image-changes.ts'
import type { Image, ImageRunConfig, Images } from './types.ts'

export interface CommitOptions {
  readonly reference?: string | undefined
  /** Dockerfile instructions, applied last. */
  readonly changes: readonly string[]
  /** Replaces what the container has, field by field. */
  readonly config?: ImageRunConfig
  readonly author?: string | undefined
  readonly message?: string | undefined
  /** Whether a running container stands still meanwhile. */
  readonly pause: boolean
}

/**
 * Makes an image of a container: its image's layers, what it changed as one more, and its configuration. Mounts are no
 * part of it.
 * @throws TcomposeError INVALID for a change that is none; CONFLICT for a container that is being removed
 */
export async function commitContainer(
  engine: { readonly containers: Containers; readonly images: Images; readonly events: Events },
  container: Container,
  options: CommitOptions,
): Promise<Image> {
  const base = await engine.images.get(container.imageId)
  const config = committedConfig(container, base.config.config ?? {}, options)
  const frozen = options.pause && container.state.status === 'running'
  if (frozen) await engine.containers.pause(container.id)
  try {
    const image = await engine.images.import(await engine.containers.exportChanges(container.id), {
      base: base.id,
      createdBy: container.args.join(' '),
      config,
      ...(options.reference ? { reference: options.reference } : {}),
      ...(options.author ? { author: options.author } : {}),
      ...(options.message ? { message: options.message } : {}),
    })
    engine.events.emit({
      type: 'container',
      action: 'commit',
      actorId: container.id,
      attributes: {
        ...container.labels,
        comment: options.message ?? '',
        image: container.config.image,
        imageID: image.id,
        imageRef: options.reference ?? '',
        name: container.name,
      },
    })
    return image
  } finally {
    if (frozen) await engine.containers.unpause(container.id)
  }
}

/** Configuration of the image of a container: its own, then what was given for the image, then the changes. */
export function committedConfig(
  { config: own, labels, spec }: Pick<Container, 'config' | 'labels' | 'spec'>,
  base: ImageRunConfig,
  options: Pick<CommitOptions, 'changes' | 'config'>,
): ImageRunConfig {
  const given = options.config ?? {}
  const changes = parseChanges(options.changes)
  const { healthcheck } = own
  const merged: ImageRunConfig = {
    ...base,
    User: own.user,
    WorkingDir: own.workingDir,
    Entrypoint: own.entrypoint.length > 0 ? own.entrypoint : null,
    Cmd: own.command.length > 0 ? own.command : null,
    ...(spec.stopSignal ? { StopSignal: spec.stopSignal } : {}),
    ...(healthcheck
      ? {
          Healthcheck: {
            ...(healthcheck.test ? { Test: healthcheck.test } : {}),
            ...(healthcheck.intervalNs ? { Interval: healthcheck.intervalNs } : {}),
            ...(healthcheck.timeoutNs ? { Timeout: healthcheck.timeoutNs } : {}),
            ...(healthcheck.startPeriodNs ? { StartPeriod: healthcheck.startPeriodNs } : {}),
            ...(healthcheck.startIntervalNs ? { StartInterval: healthcheck.startIntervalNs } : {}),
            ...(healthcheck.retries ? { Retries: healthcheck.retries } : {}),
          },
        }
      : {}),
    ...given,
    ...changes,
    Env: lastOfEach([...own.env, ...(given.Env ?? []), ...(changes.Env ?? [])]),
    Labels: { ...base.Labels, ...labels, ...given.Labels, ...changes.Labels },
  }
  const ports = {
    ...Object.fromEntries(own.exposedPorts.map((port) => [port, {}])),
    ...given.ExposedPorts,
    ...changes.ExposedPorts,
  }
  const volumes = {
    ...Object.fromEntries(own.volumes.map((path) => [path, {}])),
    ...given.Volumes,
    ...changes.Volumes,
  }
  return {
    ...merged,
    ...(Object.keys(ports).length > 0 ? { ExposedPorts: ports } : {}),
    ...(Object.keys(volumes).length > 0 ? { Volumes: volumes } : {}),
  }
}

/** Variables by name, each with its last value at its first place. */
function lastOfEach(env: readonly string[]): readonly string[] {
  const byName = new Map(env.map((one) => [one.split('=', 1)[0], one]))
  return [...byName.values()]
}
