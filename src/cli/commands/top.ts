import type { Command } from 'commander'
import { numberOf, serviceOf } from '../../project/names.ts'
import { formatTable } from '../../ui/table.ts'
import { openScope, pick } from '../choose.ts'
import type { Session } from '../session.ts'

export function configure(command: Command, session: Session): void {
  command
    .usage('[SERVICES...]')
    .argument('[services...]')
    .action(async (services: readonly string[]) => {
      const scope = await openScope(session, services)
      const engine = await session.engine()
      const running = pick(scope.containers, { services, oneOffs: true }).filter(
        (one) => one.state.status === 'running',
      )
      const tables = await Promise.all(running.map((one) => engine.containers.top(one.id)))
      const titles = tables[0]?.titles ?? []
      const rows = tables.flatMap((table, index) => {
        const container = running[index]
        if (!container) return []
        return table.rows.map((row) => [serviceOf(container), String(numberOf(container) || '-'), ...row])
      })
      if (rows.length > 0) session.write(formatTable(['SERVICE', '#', ...titles], rows))
    })
}
