import type { Command } from 'commander'
import { TcomposeError } from '../../base/errors.ts'
import { observe } from '../../project/observed.ts'
import { planDown } from '../../project/plan-down.ts'
import { openScope, pick } from '../choose.ts'
import type { Session } from '../session.ts'

export function configure(command: Command, session: Session): void {
  command
    .usage('SERVICE [SERVICE...] [OPTIONS]')
    .argument('<services...>')
    .option('--down-project', 'Take the project down when the first container has ended')
    .action(async (services: readonly string[], options: { downProject?: boolean }) => {
      const scope = await openScope(session, services)
      const engine = await session.engine()
      const chosen = pick(scope.containers, { services })
      if (chosen.length === 0) {
        throw new TcomposeError('NOT_FOUND', 'no containers for project: nothing to wait for')
      }
      const waits = chosen.map(async (one) => {
        const { exitCode } = await engine.containers.wait(one.id, { signal: session.signal })
        session.write(`container ${JSON.stringify(one.name)} exited with status code ${exitCode}\n`)
        session.exitCode = exitCode
        return exitCode
      })
      if (!options.downProject) {
        await Promise.all(waits)
        return
      }
      const first = await Promise.race(waits)
      for (const wait of waits) wait.catch(() => {})
      const observed = await observe(engine, scope.name, scope.project)
      await session.execute(planDown(scope.name, scope.project, observed, { removeOrphans: true }))
      session.exitCode = first
    })
}
