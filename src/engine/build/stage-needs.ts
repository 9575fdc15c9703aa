import { TcomposeError } from '../../base/errors.ts'
import type { Instruction } from '../../dockerfile/instructions.ts'
import { csvFields } from '../../dockerfile/mount.ts'
import type { BuildRun } from './build-run.ts'
import { placed } from './excerpt.ts'
import { baseName } from './stage.ts'

/** The stages that the target needs, itself included: those whose files or config it takes, directly or not. */
export function neededStages(run: BuildRun, target: number): readonly number[] {
  const needed = new Set<number>()
  const visit = (index: number): void => {
    if (needed.has(index)) return
    needed.add(index)
    const stage = run.file.stages[index]
    if (!stage) return
    try {
      const base = run.findStage(baseName(run, stage), index)
      if (base !== undefined) visit(base)
    } catch (error) {
      throw placed(error, run.source, stage)
    }
    for (const command of stage.commands) {
      for (const from of sourcesOf(command)) {
        const other =
          run.findStage(from, index) ?? (/^\d+$/.test(from) && Number(from) < index ? Number(from) : undefined)
        if (other !== undefined) visit(other)
        else if (from.toLowerCase() === stage.name && !run.request.contexts?.[from]) {
          const error = new TcomposeError('INVALID', `circular dependency detected on stage: ${from}`)
          throw placed(error, run.source, command)
        }
      }
    }
  }
  visit(target)
  return [...needed].toSorted((a, b) => a - b)
}

function sourcesOf(command: Instruction): readonly string[] {
  if (command.kind === 'copy') return command.from === '' ? [] : [command.from]
  if (command.kind !== 'run') return []
  return command.mounts.flatMap((mount) =>
    csvFields(mount)
      .filter((field) => field.toLowerCase().startsWith('from='))
      .map((field) => field.slice('from='.length)),
  )
}
