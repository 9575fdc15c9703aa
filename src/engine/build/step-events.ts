import { isTcomposeError, messageOf } from '../../base/errors.ts'
import type { Layer } from '../layers/types.ts'
import type { BuildRun } from './build-run.ts'

/** Runs a step and tells how it goes. @returns its layer */
export async function showStep(
  run: BuildRun,
  place: { readonly id: string; readonly name: string },
  work: () => Promise<{ readonly layer: Layer; readonly cached: boolean }>,
): Promise<Layer> {
  return await run.limit(async () => {
    const { id, name } = place
    const started = performance.now()
    run.onEvent({ kind: 'step', id, name, state: 'started' })
    try {
      const { layer, cached } = await work()
      const ms = performance.now() - started
      run.onEvent({ kind: 'step', id, name, state: cached ? 'cached' : 'done', ms })
      return layer
    } catch (error) {
      const canceled = isTcomposeError(error, 'CANCELED')
      run.onEvent({ kind: 'step', id, name, state: canceled ? 'canceled' : 'error', error: messageOf(error) })
      throw error
    }
  })
}
