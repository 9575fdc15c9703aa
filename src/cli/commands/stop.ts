import type { Command } from 'commander'
import { observe } from '../../project/observed.ts'
import { planStopServices } from '../../project/plan-lifecycle.ts'
import { checkServices } from '../choose.ts'
import { integer } from '../options.ts'
import type { Session } from '../session.ts'

export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS] [SERVICE...]')
    .argument('[services...]')
    .option('-t, --timeout <seconds>', 'Seconds until containers that do not stop are killed', integer('--timeout'))
    .action(async (services: readonly string[], options: { timeout?: number }) => {
      const { name, project } = await session.projectOrName({ services, keepOthers: true })
      const observed = await observe(await session.engine(), name)
      checkServices(services, project, observed.containers)
      await session.execute(planStopServices(name, project, observed, { services, timeoutSeconds: options.timeout }), {
        onOutput: (_source, stream, text) => void process[stream].write(text),
      })
    })
}
