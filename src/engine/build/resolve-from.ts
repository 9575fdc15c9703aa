import { TcomposeError } from '../../base/errors.ts'
import type { BuildRun } from './build-run.ts'
import { createLayerTree } from './layer-tree.ts'
import { lowersOf } from './layer-writer.ts'
import type { SourceTree } from './source-tree.ts'

export interface FromSource {
  readonly tree: SourceTree
  /** Layers, top first; a directory of the host has none. */
  readonly lowers: readonly string[] | undefined
}

/**
 * What `--from` or `from=` names: a stage before this one by name or number, a named context, or an image; '' is the
 * build context. @throws TcomposeError INVALID, NOT_FOUND
 */
export async function resolveFrom(run: BuildRun, from: string, stageIndex: number): Promise<FromSource> {
  if (from === '') return { tree: await run.context(), lowers: undefined }
  if (from.includes('$')) {
    throw new TcomposeError(
      'INVALID',
      'variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround',
    )
  }
  const index = run.findStage(from, stageIndex) ?? stageNumber(from, stageIndex)
  if (index !== undefined) {
    const { layers } = await run.stage(index)
    return ofLayers(lowersOf(layers), `stage ${from}`, run)
  }
  const later = run.findStage(from, run.file.stages.length)
  if (later !== undefined && !Object.keys(run.request.contexts ?? {}).includes(from)) {
    const here = run.file.stages[stageIndex]
    const current = here ? run.stageName(here, stageIndex) : ''
    throw new TcomposeError(
      'INVALID',
      `cannot copy from stage ${JSON.stringify(from)}, it needs to be defined before current stage ${JSON.stringify(current)}`,
    )
  }
  if (from.toLowerCase() === 'scratch' && !run.request.contexts?.[from]) return await ofLayers([], from, run)
  const found = await run.external(from)
  if (found.kind === 'directory') return { tree: found.tree, lowers: undefined }
  return ofLayers(lowersOf(found.layers), `image ${from}`, run)
}

async function ofLayers(lowers: readonly string[], description: string, run: BuildRun): Promise<FromSource> {
  const some = lowers.length > 0 ? lowers : [(await run.layers.empty()).directory]
  return { tree: createLayerTree({ lowers: some, description, signal: run.signal }), lowers: some }
}

function stageNumber(from: string, before: number): number | undefined {
  if (!/^\d+$/.test(from)) return undefined
  const index = Number(from)
  if (index < before) return index
  throw new TcomposeError(
    'INVALID',
    index === before
      ? `invalid from flag value ${from}: refers to current build block`
      : `invalid from flag value ${from}: no such stage among the ${before} before`,
  )
}
