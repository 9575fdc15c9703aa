import { TcomposeError } from '../../base/errors.ts'
import { parseReference } from '../../base/reference.ts'
import { expand } from '../../dockerfile/expand.ts'
import type { Instruction, Stage } from '../../dockerfile/instructions.ts'
import { onLine, parseInstructionText } from '../../dockerfile/parse.ts'
import { parseInstruction } from '../../dockerfile/parse-instruction.ts'
import type { BuildRun } from './build-run.ts'
import { placed } from './excerpt.ts'
import {
  applyMetadata,
  DEFAULT_PATH,
  envValue,
  expander,
  type StageState,
  scratchState,
  without,
} from './stage-state.ts'
import { copyStep } from './step-copy.ts'
import { runStep } from './step-run.ts'
import { workdirStep } from './step-workdir.ts'

/** How a step is shown and found in the file. */
export interface StepPlace {
  /** `[build 2/5] RUN make` */
  readonly name: string
  readonly id: string
  /** Index of the stage: it may use those before it. */
  readonly stageIndex: number
  readonly noCache: boolean
}

/** A step's effect: what it adds to the file system and what the history says. */
export interface StepResult {
  readonly state: StageState
  readonly createdBy: string
  /** The step made no layer. */
  readonly empty: boolean
}

/** Builds one stage from its base to its last instruction. @throws TcomposeError with `at` */
export async function buildStage(run: BuildRun, index: number): Promise<StageState> {
  const stage = run.file.stages[index] as Stage
  let base: { state: StageState; triggers: readonly string[] }
  try {
    base = await baseOf(run, stage, index)
  } catch (error) {
    throw placed(error, run.source, stage)
  }
  const triggers = base.triggers.map((text): Instruction => {
    const node = parseInstructionText(text, run.source.name)
    const parsed = onLine(
      (_, message) => new TcomposeError('INVALID', message),
      1,
      () => parseInstruction(node),
    )
    return { ...parsed, line: stage.line, endLine: stage.endLine }
  })
  const commands = [...triggers, ...stage.commands]
  const label = run.stageName(stage, index)
  const noCache =
    run.request.noCache === true || (run.request.noCacheFilter ?? []).some((name) => name.toLowerCase() === stage.name)
  let state = base.state
  const total = commands.length + 1
  for (const [position, command] of commands.entries()) {
    const place: StepPlace = {
      id: `${index}.${position}`,
      name: `[${label} ${position + 2}/${total}] ${command.original.trim()}`,
      stageIndex: index,
      noCache,
    }
    let output = ''
    try {
      const result = await perform(run, state, command, place, (text) => {
        output = (output + text).slice(-4096)
      })
      state = withHistory(run, result)
    } catch (error) {
      throw placed(error, run.source, command, output)
    }
  }
  return state
}

async function perform(
  run: BuildRun,
  state: StageState,
  command: Instruction,
  place: StepPlace,
  onOutput: (text: string) => void,
): Promise<StepResult> {
  switch (command.kind) {
    case 'run':
      return await runStep(run, state, command, place, onOutput)
    case 'copy':
    case 'add':
      return await copyStep(run, state, command, place)
    case 'workdir':
      return await workdirStep(run, state, command, place)
    case 'arg':
      return declareArgs(run, state, command)
    default: {
      const { state: next, createdBy } = applyMetadata(state, command, run.file.escape)
      return { state: next, createdBy, empty: true }
    }
  }
}

/** --build-arg beats the default, which beats the value from before the first FROM. */
function declareArgs(run: BuildRun, state: StageState, command: Extract<Instruction, { kind: 'arg' }>): StepResult {
  let next = state
  const shown: string[] = []
  for (const definition of command.args) {
    const ex = expander(next, run.file.escape)
    const key = ex(definition.key).text
    const given = run.given[key]
    const value =
      given ??
      (definition.value === undefined ? (run.args.values.get(key) ?? next.args.get(key)) : ex(definition.value).text)
    const args = new Map(next.args)
    args.set(key, value)
    next = { ...next, args }
    shown.push(value === undefined ? key : `${key}=${value}`)
  }
  return { state: next, createdBy: `ARG ${shown.join(' ')}`, empty: true }
}

function withHistory(run: BuildRun, { state, createdBy, empty }: StepResult): StageState {
  const created = run.epoch === undefined ? run.startedAt.toISOString() : isoOf(run.epoch)
  const entry = {
    created,
    created_by: createdBy,
    comment: 'buildkit.dockerfile.v0',
    ...(state.author === undefined ? {} : { author: state.author }),
    ...(empty ? { empty_layer: true } : {}),
  }
  return { ...state, history: [...state.history, entry] }
}

/** RFC 3339 without fraction. */
export function isoOf(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
}

async function baseOf(
  run: BuildRun,
  stage: Stage,
  index: number,
): Promise<{ readonly state: StageState; readonly triggers: readonly string[] }> {
  const name = baseName(run, stage)
  const before = run.findStage(name, index)
  if (before !== undefined) return takeTriggers(await run.stage(before))
  const isContext = Object.keys(run.request.contexts ?? {}).some((each) => each.toLowerCase() === name.toLowerCase())
  if (name === 'scratch' && !isContext) return { state: scratchState(), triggers: [] }
  if (!isContext) parseReference(name)
  const found = await run.external(name)
  if (found.kind === 'directory') {
    throw new TcomposeError('INVALID', `FROM ${name}: the named context is a directory, not an image`)
  }
  return takeTriggers(found.state)
}

/** What FROM names, arguments expanded. @throws TcomposeError INVALID */
export function baseName(run: Pick<BuildRun, 'args' | 'file'>, stage: Stage): string {
  const name = expand(stage.base, (key) => run.args.values.get(key), { escape: run.file.escape }).text
  if (name === '') throw new TcomposeError('INVALID', `base name (${stage.base}) should not be blank`)
  return name
}

function takeTriggers(state: StageState): { readonly state: StageState; readonly triggers: readonly string[] } {
  const triggers = state.config.OnBuild ?? []
  const config = without(state.config, 'OnBuild')
  const env = config.Env ?? []
  const complete = envValue(env, 'PATH') === undefined ? [`PATH=${DEFAULT_PATH}`, ...env] : env
  return { state: { ...state, config: { ...config, Env: complete }, commandSet: false }, triggers }
}
