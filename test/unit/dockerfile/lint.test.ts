import { expect, test } from 'vitest'
import { createIgnoreMatcher } from '../../../src/dockerfile/ignore.ts'
import { type LintOptions, lintDockerfile } from '../../../src/dockerfile/lint.ts'

const rules = (text: string, options: LintOptions = {}) =>
  lintDockerfile(text, options).warnings.map((warning) => `${warning.rule} ${warning.line}`)

test('findings come by line', () => {
  expect(rules('FROM a as X\nCMD ls\nMAINTAINER me')).toEqual([
    'FromAsCasing 1',
    'StageNameCasing 1',
    'JSONArgsRecommended 2',
    'MaintainerDeprecated 3',
  ])
})

test('a comment right above an instruction silences a rule for it', () => {
  expect(rules('FROM a\n# check=skip=JSONArgsRecommended\nCMD ls\n')).toEqual([])
})

test('stages that are not built are not looked into', () => {
  expect(rules('FROM a AS one\nCMD ls\nFROM a AS two\n')).toEqual([])
  expect(rules('FROM a AS one\nCMD ls\nFROM a AS two\n', { target: 'one' })).toEqual(['JSONArgsRecommended 2'])
})

test('variables are called undefined only where the environment of the base is known', () => {
  expect(rules('FROM a\nCOPY $x /', { baseEnv: () => undefined })).toEqual([])
  expect(rules('FROM a\nCOPY $x /', { baseEnv: () => ['PATH'] })).toEqual(['UndefinedVar 2'])
})

test('sources that are ignored are reported', () => {
  const ignore = createIgnoreMatcher(['secret'])
  expect(rules('FROM a\nCOPY secret /', { ignore })).toEqual(['CopyIgnoredFile 2'])
})

test('error=true makes findings an error', () => {
  expect(lintDockerfile('# check=error=true\nFROM a as b\n')).toMatchObject({ isError: true, warnings: [{ line: 2 }] })
})
