import type { Container } from '../engine/containers/types.ts'
import type { Engine } from '../engine/engine.ts'
import type { ImageRunConfig } from '../engine/images/types.ts'
import { parseChanges } from './image-changes.ts'

export interface CommitOptions {
  readonly reference?: string | undefined
  readonly changes: readonly string[]
  readonly author?: string | undefined
  readonly message?: string | undefined
  readonly pause: boolean
}

/** Makes an image of a container's whole root, with its configuration. @returns the image id */
export async function commitContainer(engine: Engine, container: Container, options: CommitOptions): Promise<string> {
  const { spec } = container
  const base = (await engine.images.find(container.imageId))?.config.config ?? {}
  const config: ImageRunConfig = {
    ...base,
    Env: [...(base.Env ?? []), ...(spec.env ?? [])],
    ...(spec.user ? { User: spec.user } : {}),
    ...(spec.workingDir ? { WorkingDir: spec.workingDir } : {}),
    ...(spec.entrypoint ? { Entrypoint: spec.entrypoint } : {}),
    ...(spec.command ? { Cmd: spec.command } : {}),
    Labels: { ...base.Labels, ...spec.labels },
    ...parseChanges(options.changes),
  }
  const frozen = options.pause && container.state.status === 'running'
  if (frozen) await engine.containers.pause(container.id)
  try {
    const root = await engine.containers.export(container.id)
    const message = [options.message, options.author ? `author: ${options.author}` : ''].filter(Boolean).join('; ')
    const image = await engine.images.import(root, {
      ...(options.reference === undefined ? {} : { reference: options.reference }),
      ...(message ? { message } : {}),
      config,
    })
    return image.id
  } finally {
    if (frozen) await engine.containers.unpause(container.id)
  }
}
