import { GLOBAL_FLAGS } from './globals.ts'
import { VERBS } from './verbs.ts'

/** The help of `tcompose` alone. */
export function overview(): string {
  const flags = GLOBAL_FLAGS.filter((flag) => flag.help !== undefined).map((flag): readonly [string, string] => [
    `${flag.short ? `${flag.short}, ` : '    '}${flag.long}${flag.value ? ` ${flag.value}` : ''}`,
    flag.help ?? '',
  ])
  const verbs = (group: 'project' | 'engine'): readonly (readonly [string, string])[] =>
    VERBS.filter((verb) => verb.group === group && verb.summary !== '').map((verb) => [verb.name, verb.summary])
  return [
    'Usage:  tcompose [OPTIONS] COMMAND',
    '',
    'Define and run multi-container applications, without Docker',
    '',
    'Options:',
    columns(flags),
    '',
    'Commands:',
    columns(verbs('project')),
    '',
    'Engine commands:',
    columns(verbs('engine')),
    '',
    "Run 'tcompose COMMAND --help' for more information on a command.",
    '',
  ].join('\n')
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length)) + 3
  return rows.map(([left, right]) => `  ${left.padEnd(width)}${right}`).join('\n')
}
