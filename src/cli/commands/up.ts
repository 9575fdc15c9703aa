import type { Command } from 'commander'
import { TcomposeError } from '../../base/errors.ts'
import { checkExclusive } from '../options.ts'
import type { Session } from '../session.ts'
import { up } from '../up.ts'
import { addUpOptions, type UpOptions } from '../up-options.ts'

export function configure(command: Command, session: Session): void {
  addUpOptions(command.usage('[OPTIONS] [SERVICE...]').argument('[services...]'))
    .addHelpText(
      'after',
      `
Examples:
  tcompose up -d --wait             start everything in the background, return when it is healthy
  tcompose up --build web           build and start one service and what it depends on
  tcompose up --exit-code-from test run the tests once; their exit code is the result`,
    )
    .action(async (services: readonly string[], options: UpOptions) => {
      checkUpOptions(options)
      await up(session, services, options)
    })
}

/** Combinations that Compose refuses. @throws TcomposeError INVALID */
function checkUpOptions(options: UpOptions): void {
  const all = { ...options } as Readonly<Record<string, unknown>>
  checkExclusive(all, 'detach', 'attach-dependencies')
  const stops = options.abortOnContainerExit || options.abortOnContainerFailure
  if (options.detach && (stops || options.exitCodeFrom || options.attachDependencies || options.attach)) {
    throw new TcomposeError(
      'INVALID',
      '--detach cannot be combined with --abort-on-container-exit, --abort-on-container-failure, --exit-code-from, --attach or --attach-dependencies',
    )
  }
  if (options.wait && stops)
    throw new TcomposeError('INVALID', '--wait cannot be combined with --abort-on-container-exit')
  if (options.forceRecreate && options.recreate === false) {
    throw new TcomposeError('INVALID', '--force-recreate and --no-recreate are incompatible')
  }
  if (options.renewAnonVolumes && options.recreate === false) {
    throw new TcomposeError('INVALID', '--no-recreate and --renew-anon-volumes are incompatible')
  }
  if (options.abortOnContainerExit && options.abortOnContainerFailure) {
    throw new TcomposeError('INVALID', '--abort-on-container-failure cannot be combined with --abort-on-container-exit')
  }
  if (options.detach && options.watch)
    throw new TcomposeError('INVALID', '--watch and --detach cannot be combined', {
      hint: 'tcompose up -d, then tcompose watch --no-up',
    })
}
