import type { Container } from '../../engine/containers/types.ts'
import type { Engine } from '../../engine/engine.ts'

/** What `size=1` adds to a container: bytes that it wrote, and those with its image's. */
export async function containerSizes(
  engine: Engine,
  container: Container,
  signal: AbortSignal,
): Promise<{ readonly SizeRw: number; readonly SizeRootFs: number }> {
  const [written, image] = await Promise.all([
    engine.containers.writtenBytes(container.id, signal),
    engine.images.find(container.imageId),
  ])
  return { SizeRw: written, SizeRootFs: written + (image?.sizeBytes ?? 0) }
}
