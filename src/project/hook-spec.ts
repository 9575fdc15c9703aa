import type { Service } from '../compose/types.ts'
import type { ExecSpec } from '../engine/containers/types.ts'
import { toEnvironment } from './container-spec.ts'

type Hook = NonNullable<Service['post_start']>[number]

/** A `post_start` or `pre_stop` command as an exec. */
export function toHookExec(hook: Hook): ExecSpec {
  return {
    command: hook.command ?? [],
    env: toEnvironment(hook.environment),
    user: hook.user,
    workingDir: hook.working_dir,
    privileged: hook.privileged ?? false,
  }
}
