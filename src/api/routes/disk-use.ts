import type { Container } from '../../engine/containers/types.ts'
import type { Engine } from '../../engine/engine.ts'
import { badRequest } from '../http-error.ts'
import type { Routes } from '../router.ts'
import { wireContainerSummary } from '../wire/container.ts'
import { containerSizes } from '../wire/container-sizes.ts'
import { wireSummary } from './images.ts'
import { wireVolume } from './volumes.ts'

const KINDS = ['container', 'image', 'volume', 'build-cache']

/** What takes disk, measured when asked. */
export function diskUseRoutes(engine: Engine): Routes {
  return {
    'GET /system/df': async ({ query, signal }, response) => {
      const asked = query.getAll('type')
      for (const kind of asked) if (!KINDS.includes(kind)) throw badRequest(`unknown object type: ${kind}`)
      const wants = (kind: string): boolean => asked.length === 0 || asked.includes(kind)
      const containers = await engine.containers.list()
      response.json(200, {
        ...(wants('image') ? await imageUse(engine, containers) : {}),
        ...(wants('container')
          ? {
              Containers: await Promise.all(
                containers.map(async (one) => ({
                  ...wireContainerSummary(one),
                  ...(await containerSizes(engine, one, signal)),
                })),
              ),
            }
          : {}),
        ...(wants('volume') ? { Volumes: await volumeUse(engine, containers, signal) } : {}),
        ...(wants('build-cache') ? { BuildCache: await cacheUse(engine) } : {}),
      })
    },
  }
}

async function imageUse(engine: Engine, containers: readonly Container[]): Promise<object> {
  const [images, { layersBytes, sharedBytes }] = await Promise.all([engine.images.list(), engine.images.usage()])
  return {
    LayersSize: layersBytes,
    Images: images.map((image) =>
      wireSummary(image, {
        containers: containers.filter(({ imageId }) => imageId === image.id).length,
        sharedBytes: sharedBytes.get(image.id) ?? 0,
      }),
    ),
  }
}

async function volumeUse(
  engine: Engine,
  containers: readonly Container[],
  signal: AbortSignal,
): Promise<readonly object[]> {
  const volumes = await engine.volumes.list()
  return await Promise.all(
    volumes.map(async (volume) => ({
      ...wireVolume(volume),
      UsageData: {
        Size: await engine.volumes.usedBytes(volume.name, signal),
        RefCount: containers.filter(({ mounts }) => mounts.some(({ name }) => name === volume.name)).length,
      },
    })),
  )
}

async function cacheUse(engine: Engine): Promise<readonly object[]> {
  const entries = await engine.builder.cached()
  return entries.map(({ key, sizeBytes, createdAt, usedAt, shared }) => ({
    ID: key,
    Type: 'regular',
    InUse: false,
    Shared: shared,
    Size: sizeBytes,
    CreatedAt: createdAt,
    LastUsedAt: usedAt,
  }))
}
