import type { Command } from 'commander'
import { projectFromContainers } from '../../project/from-labels.ts'
import { observe } from '../../project/observed.ts'
import { planRestart } from '../../project/plan-lifecycle.ts'
import { checkServices } from '../choose.ts'
import { integer } from '../options.ts'
import type { Session } from '../session.ts'

interface Options {
  readonly deps: boolean
  readonly timeout?: number
  readonly apply?: boolean
}

export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS] [SERVICE...]')
    .argument('[services...]')
    .option('--no-deps', 'Leave services that depend on them alone')
    .option('-t, --timeout <seconds>', 'Seconds until containers that do not stop are killed', integer('--timeout'))
    .option(
      '--apply',
      'Bring in what has changed in the file since: changed services are made anew, the others restarted',
    )
    .action(async (services: readonly string[], options: Options) => {
      const { name, project } = await session.projectOrName({ services, keepOthers: true })
      const observed = await observe(await session.engine(), name)
      checkServices(services, project, observed.containers)
      if (options.apply) {
        const { restartApplying } = await import('../restart-apply.ts')
        return restartApplying(session, services, { noDeps: !options.deps, timeoutSeconds: options.timeout })
      }
      const plan = planRestart(project ?? projectFromContainers(name, observed.containers, []), observed, {
        services,
        noDeps: !options.deps,
        timeoutSeconds: options.timeout,
      })
      await session.execute(plan)
    })
}
