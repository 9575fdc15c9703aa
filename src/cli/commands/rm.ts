import type { Command } from 'commander'
import { planRemoveServices } from '../../project/plan-lifecycle.ts'
import { isAlive } from '../../project/plan-stop.ts'
import { confirm } from '../../ui/prompt.ts'
import { openScope, pick } from '../choose.ts'
import { hidden } from '../options.ts'
import type { Session } from '../session.ts'

interface Options {
  readonly force?: boolean
  readonly stop?: boolean
  readonly volumes?: boolean
}

export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS] [SERVICE...]')
    .argument('[services...]')
    .option('-f, --force', 'Do not ask')
    .option('-s, --stop', 'Stop the containers first')
    .option('-v, --volumes', 'Remove their anonymous volumes too')
    .addOption(hidden('-a, --all'))
    .action(async (services: readonly string[], options: Options) => {
      const scope = await openScope(session, services)
      const chosen = pick(scope.containers, { services }).filter((one) => options.stop || !isAlive(one))
      if (chosen.length === 0) {
        process.stderr.write('No stopped containers\n')
        return
      }
      if (!options.force && !session.dryRun) {
        const names = chosen.map((one) => one.name).join(', ')
        const sure = await confirm(
          `Going to remove ${names}\nAre you sure?`,
          false,
          { input: process.stdin, output: process.stderr },
          session.signal,
        )
        if (!sure) return
      }
      await session.execute(
        planRemoveServices(scope.name, scope.project, chosen, {
          stop: options.stop ?? false,
          volumes: options.volumes ?? false,
        }),
      )
    })
}
