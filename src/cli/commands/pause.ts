import type { Command } from 'commander'
import { planSignal } from '../../project/plan-lifecycle.ts'
import { openScope, pick } from '../choose.ts'
import type { Session } from '../session.ts'

export function configure(command: Command, session: Session): void {
  command
    .usage('[SERVICE...]')
    .argument('[services...]')
    .action(async (services: readonly string[]) => {
      const scope = await openScope(session, services)
      await session.execute(planSignal(scope.name, pick(scope.containers, { services }), { kind: 'pause' }))
    })
}
