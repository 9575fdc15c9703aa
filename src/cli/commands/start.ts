import type { Command } from 'commander'
import { TcomposeError } from '../../base/errors.ts'
import { randomId } from '../../base/id.ts'
import { projectFromContainers } from '../../project/from-labels.ts'
import { observe } from '../../project/observed.ts'
import { planStartServices } from '../../project/plan-lifecycle.ts'
import { integer } from '../options.ts'
import type { Session } from '../session.ts'
import { withWaitTimeout } from '../wait-timeout.ts'

export function configure(command: Command, session: Session): void {
  command
    .usage('[SERVICE...]')
    .argument('[services...]')
    .option('--wait', 'Wait until services run or are healthy')
    .option('--wait-timeout <seconds>', 'Seconds to wait at most', integer('--wait-timeout'))
    .action(async (services: readonly string[], options: { wait?: boolean; waitTimeout?: number }) => {
      const { name, project } = await session.projectOrName({ services })
      const observed = await observe(await session.engine(), name)
      const whole = project ?? projectFromContainers(name, observed.containers, services)
      if (!project && observed.containers.length === 0) {
        throw new TcomposeError('NOT_FOUND', `no containers of project ${JSON.stringify(name)} found`)
      }
      const plan = planStartServices(whole, observed, { wait: options.wait ?? false, newId: randomId })
      await withWaitTimeout(session, options.wait ? options.waitTimeout : undefined, (signal) =>
        session.execute(plan, { signal }),
      )
    })
}
