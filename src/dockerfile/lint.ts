import type { IgnoreMatcher } from './ignore.ts'
export interface LintWarning {
  readonly rule: string
  readonly line: number
  readonly detail: string
  readonly description: string
  readonly url: string
  readonly level: number
}
export function lintDockerfile(
  _text: string,
  _options: {
    readonly args?: Readonly<Record<string, string>>
    readonly ignore?: IgnoreMatcher | undefined
    readonly target?: string | undefined
  },
): { readonly warnings: readonly LintWarning[]; readonly isError: boolean } {
  return { warnings: [], isError: false }
}
