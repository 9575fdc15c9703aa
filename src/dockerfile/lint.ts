import { isTcomposeError, TcomposeError } from '../base/errors.ts'
import { parseReference } from '../base/reference.ts'
import { type CheckOptions, detectCheck, parseCheckOptions } from './directives.ts'
import { expand } from './expand.ts'
import type { IgnoreMatcher } from './ignore.ts'
import type { Instruction, Stage } from './instructions.ts'
import { LINT_RULES } from './lint-rules.ts'
import { lintStage, type StageFacts } from './lint-stage.ts'
import { csvFields } from './mount.ts'
import { type Ast, parseDockerfile } from './parse.ts'
import { readStages } from './stages.ts'
import { didYouMean } from './suggest.ts'

export interface LintWarning {
  readonly rule: string
  readonly line: number
  readonly detail: string
  readonly description: string
  readonly url: string
  readonly level: 1
}

export interface LintOptions {
  /** `--build-arg` values. */
  readonly args?: Readonly<Record<string, string>>
  readonly ignore?: IgnoreMatcher | undefined
  readonly target?: string | undefined
  /** Names that the environment of a base image sets; undefined: not known, then no variable is called undefined. */
  readonly baseEnv?: (image: string) => readonly string[] | undefined
}

/** Reports a finding; `subject` is the line whose comments may ask to skip it. */
export type Report = (rule: string, line: number, detail: string) => void

const AUTOMATIC: readonly string[] = [
  'BUILDPLATFORM',
  'BUILDOS',
  'BUILDOSVERSION',
  'BUILDARCH',
  'BUILDVARIANT',
  'TARGETPLATFORM',
  'TARGETOS',
  'TARGETOSVERSION',
  'TARGETARCH',
  'TARGETVARIANT',
  'TARGETSTAGE',
]

/**
 * Checks a Dockerfile. A file that is wrong gives the warnings up to where it is; what is wrong is the parser's to say.
 * @returns warnings by line; `isError` when the file or a build argument makes them fail the build
 */
export function lintDockerfile(
  text: string,
  options: LintOptions = {},
): { readonly warnings: readonly LintWarning[]; readonly isError: boolean } {
  const check = checkOptions(text, options.args ?? {})
  const found: { rule: string; line: number; detail: string }[] = []
  const skipped = new Map<number, readonly string[]>()
  const report: Report = (rule, line, detail) => {
    const known = LINT_RULES.get(rule)
    const skip = [...check.skip, ...(skipped.get(line) ?? [])]
    const experimental = check.experimental.includes(rule) || check.experimental.includes('all')
    if (known?.experimental ? !experimental : skip.includes(rule) || skip.includes('all')) return
    found.push({ rule, line, detail })
  }
  try {
    lintAll(text, options, report, skipped)
  } catch (error) {
    if (!isTcomposeError(error)) throw error
  }
  const warnings = found
    .toSorted((a, b) => a.line - b.line || compare(a.rule, b.rule) || compare(a.detail, b.detail))
    .map(({ rule, line, detail }): LintWarning => {
      const { description = '', url = '' } = LINT_RULES.get(rule) ?? {}
      return { rule, line, detail, description, url, level: 1 }
    })
  return { warnings, isError: check.error }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function checkOptions(text: string, args: Readonly<Record<string, string>>): CheckOptions {
  const given = args.BUILDKIT_DOCKERFILE_CHECK
  const value = given ?? detectCheck(text)?.value
  return value === undefined ? { skip: [], error: false, experimental: [] } : parseCheckOptions(value)
}

function lintAll(text: string, options: LintOptions, report: Report, skipped: Map<number, readonly string[]>): void {
  const ast = parseDockerfile(text)
  for (const node of ast.nodes) {
    const own = node.comments.flatMap((comment) => {
      const value = /^check\s*=\s*(\S.*)$/.exec(comment)?.[1]
      return value === undefined ? [] : [...safeSkip(value)]
    })
    if (own.length > 0) skipped.set(node.startLine, own)
  }
  for (const warning of ast.warnings) report('NoEmptyContinuation', warning.line, 'Empty continuation line')
  lintDescriptions(ast, report)
  const file = readStages(ast, 'Dockerfile', {
    stage: (stage) => lintFrom(stage, report),
    command: (_, command) => {
      if (command.kind === 'maintainer') {
        report('MaintainerDeprecated', command.line, 'Maintainer instruction is deprecated in favor of using label')
      }
    },
  })
  lintCasing(file.stages, report)
  lintNames(file.stages, report)
  const globals = globalValues(file.metaArgs, options.args ?? {}, file.escape)
  for (const stage of file.stages) lintBase(stage, globals, file.escape, report)
  const facts = new Map<number, StageFacts>()
  for (const index of reachable(file.stages, options.target, globals, file.escape)) {
    const stage = file.stages[index] as Stage
    const base = baseOf(stage, globals, file.escape)
    const parent = stageBefore(file.stages, base, index)
    const known = parent === undefined ? undefined : facts.get(parent)
    const env = base === 'scratch' ? ['PATH'] : options.baseEnv ? options.baseEnv(base) : ['PATH']
    facts.set(
      index,
      lintStage(stage, { base: known, env, globals, escape: file.escape, ignore: options.ignore }, report),
    )
  }
}

function safeSkip(value: string): readonly string[] {
  try {
    return parseCheckOptions(value).skip
  } catch (error) {
    if (isTcomposeError(error)) return []
    throw error
  }
}

function lintFrom(stage: Stage, report: Report): void {
  if (stage.writtenName !== stage.name) {
    report('StageNameCasing', stage.line, `Stage name '${stage.writtenName}' should be lowercase`)
  }
  const { written, asKeyword } = stage
  if (asKeyword === '') return
  const isLower = written === written.toLowerCase()
  if (!isLower && written !== written.toUpperCase()) return
  if (asKeyword !== (isLower ? asKeyword.toLowerCase() : asKeyword.toUpperCase())) {
    report('FromAsCasing', stage.line, `'${asKeyword}' and '${written}' keywords' casing do not match`)
  }
}

function lintCasing(stages: readonly Stage[], report: Report): void {
  const all = stages.flatMap((stage) => [stage, ...stage.commands])
  const isLower = (text: string) => text === text.toLowerCase()
  const isUpper = (text: string) => text === text.toUpperCase()
  const lower = all.filter((each) => isLower(each.written)).length
  const upper = all.filter((each) => isUpper(each.written)).length
  const majority = lower > upper ? 'lowercase' : 'uppercase'
  const fits = lower > upper ? isLower : isUpper
  for (const { written, line } of all) {
    if (fits(written)) continue
    report(
      'ConsistentInstructionCasing',
      line,
      `Command '${written}' should match the case of the command majority (${majority})`,
    )
  }
}

function lintNames(stages: readonly Stage[], report: Report): void {
  const seen = new Set<string>()
  for (const { name, line } of stages) {
    if (name === '') continue
    if (name === 'scratch' || name === 'context') {
      report('ReservedStageName', line, `Stage name should not use the same name as reserved stage "${name}"`)
    }
    if (seen.has(name))
      report('DuplicateStageName', line, `Duplicate stage name "${name}", stage names should be unique`)
    seen.add(name)
  }
}

function lintDescriptions(ast: Ast, report: Report): void {
  for (const node of ast.nodes) {
    const comment = node.comments.at(-1)
    if (comment === undefined || comment === '') continue
    const keys =
      node.instruction === 'arg'
        ? node.args.map((word) => word.split('=')[0] as string)
        : node.instruction === 'from' && node.args.length === 3
          ? [(node.args[2] as string).toLowerCase()]
          : []
    const [first] = keys
    if (first === undefined || keys.includes(comment.split(' ')[0] as string)) continue
    const name = keys.length > 1 ? '<arg_key>' : first
    report(
      'InvalidDefinitionDescription',
      node.startLine,
      `Comment for ${node.instruction.toUpperCase()} should follow the format: \`# ${name} <description>\``,
    )
  }
}

export interface GlobalValues {
  readonly values: ReadonlyMap<string, string>
  /** As `values`, without what the command line says. */
  readonly defaults: ReadonlyMap<string, string>
  readonly declared: readonly string[]
}

function globalValues(
  metaArgs: readonly Extract<Instruction, { kind: 'arg' }>[],
  given: Readonly<Record<string, string>>,
  escapeToken: string,
): GlobalValues {
  const values = new Map<string, string>()
  const defaults = new Map<string, string>()
  const declared: string[] = []
  for (const { args } of metaArgs) {
    for (const { key, value } of args) {
      declared.push(key)
      if (value !== undefined)
        defaults.set(key, expand(value, (name) => defaults.get(name), { escape: escapeToken }).text)
      const own =
        given[key] ??
        (value === undefined ? undefined : expand(value, (name) => values.get(name), { escape: escapeToken }).text)
      if (own !== undefined) values.set(key, own)
    }
  }
  return { values, defaults, declared: [...declared, ...AUTOMATIC] }
}

function lintBase(stage: Stage, globals: GlobalValues, escapeToken: string, report: Report): void {
  const { line, platform } = stage
  for (const text of [stage.base, platform]) {
    for (const name of expand(text, (key) => globals.values.get(key), { escape: escapeToken }).unmatched) {
      if (globals.declared.includes(name)) continue
      const near = didYouMean(name, globals.declared)
      report('UndefinedArgInFrom', line, `FROM argument '${name}' is not declared${near}`)
    }
  }
  const withDefaults = expand(stage.base, (key) => globals.defaults.get(key), { escape: escapeToken })
  if (
    stage.base.includes('$') &&
    !isReference(withDefaults.text) &&
    withDefaults.unmatched.size + withDefaults.matched.size > 0
  ) {
    const undeclared = [...withDefaults.unmatched].some((name) => !globals.declared.includes(name))
    if (
      !undeclared &&
      isReference(expand(stage.base, (key) => globals.values.get(key), { escape: escapeToken }).text)
    ) {
      report(
        'InvalidDefaultArgInFrom',
        line,
        `Default value for ARG ${stage.base} results in empty or invalid base image name`,
      )
    }
  }
  if (platform === '$TARGETPLATFORM' || platform === '$' + '{TARGETPLATFORM}') {
    report(
      'RedundantTargetPlatform',
      line,
      `Setting platform to predefined ${platform} in FROM is redundant as this is the default behavior`,
    )
  } else if (platform !== '' && !platform.includes('$')) {
    const [os = '', architecture = ''] = platform.split('/')
    const named = [os, architecture].some((part) => part !== '' && stage.name.includes(part))
    if (!named) {
      report(
        'FromPlatformFlagConstDisallowed',
        line,
        `FROM --platform flag should not use constant value ${JSON.stringify(platform)}`,
      )
    }
  }
}

function isReference(text: string): boolean {
  try {
    parseReference(text)
    return true
  } catch (error) {
    if (error instanceof TcomposeError) return false
    throw error
  }
}

function baseOf(stage: Stage, globals: GlobalValues, escapeToken: string): string {
  return expand(stage.base, (key) => globals.values.get(key), { escape: escapeToken }).text
}

function stageBefore(stages: readonly Stage[], name: string, before: number): number | undefined {
  const index = stages.slice(0, before).findLastIndex((stage) => stage.name !== '' && stage.name === name.toLowerCase())
  if (index >= 0) return index
  return /^\d+$/.test(name) && Number(name) < before ? Number(name) : undefined
}

/** Stages that the target uses, in the order of the file. */
function reachable(
  stages: readonly Stage[],
  target: string | undefined,
  globals: GlobalValues,
  escapeToken: string,
): readonly number[] {
  const start = target ? stages.findLastIndex((stage) => stage.name === target.toLowerCase()) : stages.length - 1
  const needed = new Set<number>()
  const visit = (index: number | undefined): void => {
    if (index === undefined || index < 0 || needed.has(index)) return
    needed.add(index)
    const stage = stages[index] as Stage
    visit(stageBefore(stages, baseOf(stage, globals, escapeToken), index))
    for (const command of stage.commands) {
      if (command.kind === 'copy' && command.from !== '') visit(stageBefore(stages, command.from, index))
      if (command.kind !== 'run') continue
      for (const field of command.mounts.flatMap(csvFields)) {
        if (field.startsWith('from=')) visit(stageBefore(stages, field.slice(5), index))
      }
    }
  }
  visit(start)
  return [...needed].toSorted((a, b) => a - b)
}
