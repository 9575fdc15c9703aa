import { parseDurationMs } from '../base/duration.ts'
import { TcomposeError } from '../base/errors.ts'
import type { Service } from '../compose/types.ts'
import type { Image } from '../engine/images/types.ts'

export interface ImagePolicyOptions {
  /** `--pull`, which wins over every service's own `pull_policy`; `policy` leaves it to them. */
  readonly pull?: string | undefined
  /** `--build` */
  readonly build?: boolean
  readonly noBuild?: boolean
  readonly nowMs: number
}

export type ImageDecision =
  | { readonly kind: 'use' }
  | { readonly kind: 'pull'; readonly cause: string }
  /** Pull, and build when that fails. */
  | { readonly kind: 'pullOrBuild'; readonly cause: string }
  | { readonly kind: 'build'; readonly cause: string }
  | { readonly kind: 'missing'; readonly hint: string }

/** What is to be done so that a service has its image. Pure. */
export function decideImage(
  name: string,
  service: Service,
  present: Image | undefined,
  options: ImagePolicyOptions,
): ImageDecision {
  const canBuild = service.build !== undefined && service.build !== null && !options.noBuild
  const policy =
    options.pull !== undefined && options.pull !== 'policy' ? options.pull : service.pull_policy || 'missing'
  if (canBuild && options.build) return { kind: 'build', cause: '--build' }
  if (canBuild && policy === 'build') return { kind: 'build', cause: 'pull_policy: build' }
  if (!service.image) {
    if (present) return { kind: 'use' }
    if (canBuild) return { kind: 'build', cause: 'not found' }
    return { kind: 'missing', hint: `tcompose build ${name} makes it` }
  }
  const missing = (): ImageDecision => {
    if (policy === 'never')
      return { kind: 'missing', hint: `pull_policy is never: load or build ${service.image} first` }
    return canBuild ? { kind: 'pullOrBuild', cause: 'not found' } : { kind: 'pull', cause: 'not found' }
  }
  switch (policy) {
    case 'never':
    case 'missing':
    case 'if_not_present':
    case 'build':
      return present ? { kind: 'use' } : missing()
    case 'always':
    case 'newer':
      return canBuild && !present ? { kind: 'pullOrBuild', cause: 'always' } : { kind: 'pull', cause: 'always' }
    default: {
      if (!present) return missing()
      const refreshMs = refreshInterval(policy)
      const age = options.nowMs - Date.parse(present.taggedAt)
      return age >= refreshMs ? { kind: 'pull', cause: `older than ${policy}` } : { kind: 'use' }
    }
  }
}

/** `daily`, `weekly`, `every_12h`. @throws TcomposeError INVALID */
export function refreshInterval(policy: string): number {
  const day = 24 * 3600 * 1000
  if (policy === 'daily') return day
  if (policy === 'weekly') return 7 * day
  const every = /^every_(.+)$/.exec(policy)
  if (every) return parseDurationMs(every[1] as string)
  throw new TcomposeError('INVALID', `invalid pull_policy ${JSON.stringify(policy)}`, {
    hint: 'one of always, missing, never, build, daily, weekly, every_<duration> is expected',
  })
}
