import type { Command } from 'commander'
import { imageName } from '../../project/names.ts'
import { pushImages } from '../push-images.ts'
import type { Session } from '../session.ts'

interface Options {
  readonly ignorePushFailures?: boolean
  readonly includeDeps?: boolean
  readonly quiet?: boolean
}

export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS] [SERVICE...]')
    .argument('[services...]')
    .option('--ignore-push-failures', 'Push what can be pushed')
    .option('--include-deps', 'Push images of services that they depend on too')
    .option('-q, --quiet', 'Push without progress')
    .action(async (services: readonly string[], options: Options) => {
      const project = await session.project({ services, noDeps: !options.includeDeps })
      const targets = Object.entries(project.services).flatMap(([name, service]) =>
        service.build
          ? [{ service: name, reference: imageName(project, name, service), named: Boolean(service.image) }]
          : [],
      )
      if (session.dryRun) {
        session.write(targets.map((one) => `image:${one.reference}, pushImage, push\n`).join(''))
        return
      }
      await pushImages(session, targets, {
        ignoreFailures: options.ignorePushFailures ?? false,
        quiet: options.quiet ?? false,
      })
    })
}
