import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { TcomposeError } from '../base/errors.ts'

export type NativeProgram = 'tcompose-shim' | 'tcompose-fs'

/**
 * Path of one of our static C programs: beside the bundle in `dist/`, or in the checkout's `dist/` when run from source.
 * @throws TcomposeError UNAVAILABLE when it has not been built
 */
export function nativePath(program: NativeProgram): string {
  const here = import.meta.dirname
  const candidates = [`${here}/${program}`, `${dirname(dirname(here))}/dist/${program}`]
  const found = candidates.find((path) => existsSync(path))
  if (found !== undefined) return found
  throw new TcomposeError('UNAVAILABLE', `${program} has not been built`, { hint: 'run `npm run setup`' })
}
