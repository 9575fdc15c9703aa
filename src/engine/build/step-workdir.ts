import { posix } from 'node:path'
import { isTcomposeError } from '../../base/errors.ts'
import type { Instruction } from '../../dockerfile/instructions.ts'
import { readRootFile } from '../../runtime/root-reader.ts'
import { resolveUser } from '../../runtime/user.ts'
import type { BuildRun } from './build-run.ts'
import { performCopy } from './copy-step.ts'
import { captureLayer, lowersOf } from './layer-writer.ts'
import type { StepPlace, StepResult } from './stage.ts'
import { expander, type StageState, workingDirectory } from './stage-state.ts'
import { stepKey } from './step-cache.ts'
import { showStep } from './step-events.ts'

/** Sets the working directory and makes it if it is missing, for the current user. */
export async function workdirStep(
  run: BuildRun,
  state: StageState,
  instruction: Extract<Instruction, { kind: 'workdir' }>,
  place: StepPlace,
): Promise<StepResult> {
  const text = expander(state, run.file.escape)(instruction.path).text
  const path = workingDirectory(state.config, text)
  const config = { ...state.config, WorkingDir: path }
  const createdBy = `WORKDIR ${path}`
  const cleaned = posix.normalize(path)
  if (cleaned === '/') return { state: { ...state, config }, createdBy, empty: true }
  const owner = ownerOf(state)
  const key = stepKey(['workdir', cleaned, owner, state.layers.map((layer) => layer.key)])
  const layer = await showStep(run, place, async () =>
    run.cache.layer(key, { name: place.name, fresh: place.noCache, signal: run.signal }, () =>
      captureLayer(
        run,
        state.layers,
        async (workspace) => {
          // A copy of nothing makes the directories on its way.
          const archive = { kind: 'directories' } as const
          await performCopy(
            workspace.target,
            {
              items: [archive],
              destination: `${cleaned.replace(/\/+$/, '')}/`,
              many: true,
              owner,
              chmod: undefined,
              now: run.epoch ?? Math.floor(run.startedAt.getTime() / 1000),
            },
            run.signal,
          )
        },
        run.signal,
      ),
    ),
  )
  return { state: { ...state, config, layers: [...state.layers, layer] }, createdBy, empty: false }
}

function ownerOf(state: StageState): { readonly uid: number; readonly gid: number } {
  const lowers = lowersOf(state.layers)
  try {
    const { uid, gid } = resolveUser(state.config.User ?? '', [], {
      passwd: readRootFile(lowers, '/etc/passwd'),
      group: readRootFile(lowers, '/etc/group'),
    })
    return { uid, gid }
  } catch (error) {
    // Somebody who is made later: the directory is root's until then.
    if (isTcomposeError(error, 'INVALID')) return { uid: 0, gid: 0 }
    throw error
  }
}
