import type { Command } from 'commander'
import { withScale } from '../../project/converge.ts'
import { parseScale } from '../options.ts'
import type { Session } from '../session.ts'
import { converge } from '../up.ts'

export function configure(command: Command, session: Session): void {
  command
    .usage('[SERVICE=REPLICAS...]')
    .argument('<scale...>')
    .option('--no-deps', 'Do not start dependencies')
    .action(async (args: readonly string[], options: { deps: boolean }) => {
      const scale = parseScale(args)
      const services = [...scale.keys()]
      const loaded = await session.project({ services, noDeps: !options.deps })
      const { plan } = await converge(
        session,
        withScale(loaded, scale),
        services,
        { build: false },
        { start: true, wait: false },
      )
      await session.execute(plan)
    })
}
