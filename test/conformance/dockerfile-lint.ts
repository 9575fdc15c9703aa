import { createIgnoreMatcher, parseIgnoreFile } from '../../src/dockerfile/ignore.ts'
import { lintDockerfile } from '../../src/dockerfile/lint.ts'

interface LintCase {
  readonly dockerfile: string
  readonly context?: Readonly<Record<string, string>>
  readonly frontendAttrs?: Readonly<Record<string, string>>
}

/** The warnings for a lint case, in its shape. */
export function lintAnswer(testCase: LintCase): unknown {
  const args = Object.fromEntries(
    Object.entries(testCase.frontendAttrs ?? {})
      .filter(([key]) => key.startsWith('build-arg:'))
      .map(([key, value]) => [key.slice('build-arg:'.length), value]),
  )
  const text = testCase.context?.['.dockerignore']
  const ignore = text === undefined ? undefined : createIgnoreMatcher(parseIgnoreFile(text))
  return { warnings: lintDockerfile(testCase.dockerfile, { args, ignore }).warnings }
}
