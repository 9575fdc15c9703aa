import { expand } from './expand.ts'
import { contextName, type IgnoreMatcher } from './ignore.ts'
import type { Instruction, Stage } from './instructions.ts'
import type { GlobalValues, Report } from './lint.ts'
import { didYouMean } from './suggest.ts'

/** What a stage hands on to those that start from it. */
export interface StageFacts {
  readonly hasShell: boolean
  readonly hasAbsoluteWorkdir: boolean
  /** Names with a value, or declared without one. */
  readonly names: ReadonlyMap<string, string | undefined>
  /** Everything in the environment is known. */
  readonly isComplete: boolean
}

export interface StageInput {
  readonly base: StageFacts | undefined
  /** Names in the environment of the base image; undefined: not known. */
  readonly env: readonly string[] | undefined
  readonly globals: GlobalValues
  readonly escape: string
  readonly ignore: IgnoreMatcher | undefined
}

const SECRET = /(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)/i
const NO_SECRET = /(?:_|^)(?:public|file|version)(?:_|$)/i

/** Checks the commands of a stage that is built. */
export function lintStage(stage: Stage, input: StageInput, report: Report): StageFacts {
  const { base } = input
  let hasShell = base?.hasShell ?? false
  let hasAbsoluteWorkdir = base?.hasAbsoluteWorkdir ?? false
  const names = new Map<string, string | undefined>(base?.names ?? (input.env ?? ['PATH']).map((name) => [name, '']))
  const isComplete = base?.isComplete ?? input.env !== undefined
  const last = new Map<string, number>()
  for (const command of stage.commands) {
    const { line } = command
    if (isComplete) lintVariables(command, names, input.escape, report)
    switch (command.kind) {
      case 'shell':
        hasShell = true
        break
      case 'cmd':
      case 'entrypoint':
      case 'healthcheck': {
        const name = command.kind.toUpperCase()
        const before = last.get(name)
        if (before !== undefined) {
          report(
            'MultipleInstructionsDisallowed',
            before,
            `Multiple ${name} instructions should not be used in the same stage because only the last one will be used`,
          )
        }
        last.set(name, line)
        if (command.kind !== 'healthcheck' && command.shell && !hasShell) {
          report(
            'JSONArgsRecommended',
            line,
            `JSON arguments recommended for ${name} to prevent unintended behavior related to OS signals`,
          )
        }
        break
      }
      case 'workdir':
        if (command.path.startsWith('/') || command.path.startsWith('$')) hasAbsoluteWorkdir = true
        else if (!hasAbsoluteWorkdir) {
          report(
            'WorkdirRelativePath',
            line,
            `Relative workdir ${JSON.stringify(command.path)} can have unexpected results if the base image changes`,
          )
        }
        break
      case 'env':
      case 'label':
        if (command.legacy) {
          const name = command.kind.toUpperCase()
          report(
            'LegacyKeyValueFormat',
            line,
            `"${name} key=value" should be used instead of legacy "${name} key value" format`,
          )
        }
        if (command.kind === 'label') break
        for (const { key, value } of command.pairs) {
          lintSecret('ENV', key, line, report)
          names.set(key, value)
        }
        break
      case 'arg':
        for (const { key, value } of command.args) {
          lintSecret('ARG', key, line, report)
          if (!names.has(key)) names.set(key, value ?? input.globals.values.get(key))
        }
        break
      case 'expose':
        for (const port of command.ports) lintPort(port, line, report)
        break
      case 'copy':
      case 'add':
        lintIgnored(command, input.ignore, report)
        break
    }
  }
  return { hasShell, hasAbsoluteWorkdir, names, isComplete }
}

function lintSecret(instruction: string, key: string, line: number, report: Report): void {
  if (!SECRET.test(key) || NO_SECRET.test(key)) return
  const detail = `Do not use ARG or ENV instructions for sensitive data (${instruction} ${JSON.stringify(key)})`
  report('SecretsUsedInArgOrEnv', line, detail)
}

function lintPort(port: string, line: number, report: Report): void {
  const [spec = '', protocol] = port.split('/')
  if (protocol !== undefined && protocol !== protocol.toLowerCase() && !protocol.includes('$')) {
    report('ExposeProtoCasing', line, `Defined protocol '${port}' in EXPOSE instruction should be lowercase`)
  }
  if (spec.replace(/\$\{[^}]*\}/g, '').includes(':')) {
    report(
      'ExposeInvalidFormat',
      line,
      `EXPOSE instruction should not define an IP address or host-port mapping, found '${port}'`,
    )
  }
}

function lintIgnored(
  command: Extract<Instruction, { kind: 'copy' | 'add' }>,
  ignore: IgnoreMatcher | undefined,
  report: Report,
): void {
  if (!ignore || ignore.isEmpty || (command.kind === 'copy' && command.from !== '')) return
  const verb = command.kind === 'copy' ? 'Copy' : 'Add'
  for (const source of command.sources) {
    if (/\$|:\/\/|^git@|[*?[]/.test(source)) continue
    const path = contextName(source)
    // The context itself is left out only by what leaves everything out: ask for a name that nothing else matches.
    const probe = path === '.' ? '\u0001' : path
    if (!ignore.ignores(probe) || ignore.mayInclude(path)) continue
    report('CopyIgnoredFile', command.line, `Attempting to ${verb} file "${path}" that is excluded by .dockerignore`)
  }
}

/** The texts of an instruction in which variables are expanded. */
function textsOf(command: Instruction): readonly string[] {
  switch (command.kind) {
    case 'env':
    case 'label':
      return command.pairs.flatMap(({ key, value }) => [key, value])
    case 'arg':
      return command.args.flatMap(({ value }) => (value === undefined ? [] : [value]))
    case 'copy':
    case 'add':
      return [...command.sources, command.destination, command.chown, command.chmod]
    case 'expose':
      return command.ports
    case 'volume':
      return command.volumes
    case 'user':
      return [command.user]
    case 'workdir':
      return [command.path]
    case 'stopsignal':
      return [command.stopSignal]
    default:
      return []
  }
}

function lintVariables(
  command: Instruction,
  names: ReadonlyMap<string, string | undefined>,
  escapeToken: string,
  report: Report,
): void {
  const undefinedNames = new Set<string>()
  for (const text of textsOf(command)) {
    if (!text.includes('$')) continue
    for (const name of expand(text, (key) => names.get(key), { escape: escapeToken }).unmatched) {
      if (!names.has(name)) undefinedNames.add(name)
    }
  }
  for (const name of undefinedNames) {
    const near = didYouMean(name, [...names.keys()], '$')
    report('UndefinedVar', command.line, `Usage of undefined variable '$${name}'${near}`)
  }
}
