import { chmodSync, chownSync, lstatSync, mkdirSync } from 'node:fs'
import type { FsTarget } from '../../runtime/fs-worker.ts'
import { makeTemporary } from '../content/temporary.ts'
import type { Layer, Layers } from '../layers/types.ts'
import type { EnginePaths } from '../state/paths.ts'

/**
 * The directories of layers (bottom first) as overlay lowers (top first). Steps with the same result share a layer,
 * which an overlay takes only once: what a layer gives at its topmost place covers what it gives below.
 */
export function lowersOf(layers: readonly Layer[]): readonly string[] {
  return [...new Set(layers.map((layer) => layer.directory).toReversed())]
}

/** Where a step writes. */
export interface Workspace {
  /** Private directory of the step, on the file system of the layers; goes away with it. */
  readonly directory: string
  readonly upper: string
  readonly work: string
  /** What the step sees below its own writes, top first. */
  readonly lowers: readonly string[]
  /** For file work. */
  readonly target: FsTarget
}

/** Runs `write` over the layers `below` (bottom first) and makes what it wrote a layer, or leaves no trace. */
export async function captureLayer(
  deps: { readonly paths: EnginePaths; readonly layers: Layers },
  below: readonly Layer[],
  write: (workspace: Workspace) => Promise<void>,
  signal?: AbortSignal,
): Promise<Layer> {
  await using temporary = makeTemporary(deps.paths)
  const upper = `${temporary.path}/upper`
  const work = `${temporary.path}/work`
  mkdirSync(upper, { mode: 0o755 })
  mkdirSync(work, { mode: 0o700 })
  const lowers = lowersOf(below)
  chmodSync(upper, 0o755)
  if (lowers[0] !== undefined) {
    // The topmost directory is the root that is seen: it must not change by the mere fact of a step.
    const root = lstatSync(lowers[0])
    chmodSync(upper, root.mode & 0o7777)
    chownSync(upper, root.uid, root.gid)
  }
  const target: FsTarget =
    lowers.length === 0 ? { kind: 'directory', path: upper } : { kind: 'overlay', lowers, upper, work }
  await write({ directory: temporary.path, upper, work, lowers, target })
  return await deps.layers.commit(upper, { signal })
}
