import { connectShim } from '../runtime/shim-client.ts'
import type { ShimConnection } from '../runtime/shim-types.ts'
import { bundleDir, type EnginePaths } from './state/paths.ts'

/** What the agent needs of a running container beyond what `Containers` gives: its names are asked for, its end is told. */
export type ContainerLink = Pick<ShimConnection, 'exit' | 'serveNames' | 'close'>

/** @throws TcomposeError NOT_FOUND when the container's shim has gone */
export function linkContainer(paths: EnginePaths, id: string, signal?: AbortSignal): Promise<ContainerLink> {
  return connectShim(bundleDir(paths, id), signal)
}
