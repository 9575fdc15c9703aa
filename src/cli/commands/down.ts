import type { Command } from 'commander'
import { imagesToRemove } from '../../project/down-images.ts'
import { observe } from '../../project/observed.ts'
import { planDown } from '../../project/plan-down.ts'
import { checkServices } from '../choose.ts'
import { isTrue } from '../globals.ts'
import { checkChoice, integer } from '../options.ts'
import type { Session } from '../session.ts'

interface Options {
  readonly removeOrphans?: boolean
  readonly rmi?: 'local' | 'all'
  readonly timeout?: number
  readonly volumes?: boolean
}

export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS] [SERVICES]')
    .argument('[services...]')
    .option('--remove-orphans', 'Remove containers of services that the file does not define')
    .option('--rmi <type>', 'Remove images: local (those without a name of their own), all')
    .option('-t, --timeout <seconds>', 'Seconds until containers that do not stop are killed', integer('--timeout'))
    .option('-v, --volumes', 'Remove named volumes of the file and anonymous volumes of containers')
    .action(async (services: readonly string[], options: Options) => {
      checkChoice(options.rmi, ['local', 'all'], '--rmi')
      const { name, project } = await session.projectOrName({ services, keepOthers: true })
      const engine = await session.engine()
      const observed = await observe(engine, name, project)
      checkServices(services, project, observed.containers)
      const images = options.rmi
        ? await imagesToRemove(engine, options.rmi, { name, project, containers: observed.containers, services })
        : []
      const plan = planDown(name, project, observed, {
        services,
        removeOrphans:
          options.removeOrphans ??
          isTrue(session.env.COMPOSE_REMOVE_ORPHANS ?? project?.environment.COMPOSE_REMOVE_ORPHANS),
        volumes: options.volumes ?? false,
        timeoutSeconds: options.timeout,
        images,
      })
      if (plan.operations.length === 0 && !session.dryRun) {
        session.warn(`Warning: No resource found to remove for project ${JSON.stringify(name)}.`)
        return
      }
      await session.execute(plan, { onOutput: (_source, stream, text) => void process[stream].write(text) })
    })
}
