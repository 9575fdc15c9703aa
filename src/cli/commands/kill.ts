import type { Command } from 'commander'
import { NOTHING } from '../../project/observed.ts'
import { planSignal } from '../../project/plan-lifecycle.ts'
import { orphansOf } from '../../project/plan-orphans.ts'
import { openScope, pick } from '../choose.ts'
import type { Session } from '../session.ts'

export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS] [SERVICE...]')
    .argument('[services...]')
    .option('-s, --signal <signal>', 'Signal to send', 'SIGKILL')
    .option('--remove-orphans', 'Kill containers of services that the file does not define too')
    .action(async (services: readonly string[], options: { signal: string; removeOrphans?: boolean }) => {
      const scope = await openScope(session, services)
      const orphans = scope.project ? orphansOf(scope.project, { ...NOTHING, containers: scope.containers }) : []
      const chosen = pick(scope.containers, { services }).filter(
        (one) => options.removeOrphans || !orphans.some((orphan) => orphan.id === one.id),
      )
      if (chosen.length === 0) {
        process.stderr.write('no container to kill\n')
        return
      }
      await session.execute(planSignal(scope.name, chosen, { kind: 'kill', signal: options.signal }))
    })
}
