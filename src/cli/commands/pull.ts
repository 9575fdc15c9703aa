import { type Command, Option } from 'commander'
import { createLimiter } from '../../base/concurrency.ts'
import { messageOf, TcomposeError } from '../../base/errors.ts'
import { decideImage } from '../../project/image-policy.ts'
import { pullImage } from '../../project/images.ts'
import { checkChoice } from '../options.ts'
import type { Session } from '../session.ts'

interface Options {
  readonly ignoreBuildable?: boolean
  readonly ignorePullFailures?: boolean
  readonly includeDeps?: boolean
  readonly policy?: string
  readonly quiet?: boolean
}

export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS] [SERVICE...]')
    .argument('[services...]')
    .option('--ignore-buildable', 'Leave out images that can be built')
    .option('--ignore-pull-failures', 'Pull what can be pulled')
    .option('--include-deps', 'Pull images of services that they depend on too')
    .option('--policy <policy>', 'missing or always')
    .option('-q, --quiet', 'Pull without progress')
    .addOption(new Option('--no-parallel').hideHelp())
    .addOption(new Option('--parallel').hideHelp())
    .action((services: readonly string[], options: Options) => pull(session, services, options))
}

async function pull(session: Session, services: readonly string[], options: Options): Promise<void> {
  checkChoice(options.policy, ['missing', 'always'], '--policy')
  const project = await session.project({ services, noDeps: !options.includeDeps })
  const engine = await session.engine()
  const { emit } = await session.progress()
  const show = options.quiet ? () => {} : emit
  const wanted = new Map<
    string,
    { readonly names: string[]; readonly platform: string | undefined; readonly buildable: boolean }
  >()
  for (const [name, service] of Object.entries(project.services)) {
    if (service.provider) continue
    if (!service.image) {
      show({ id: name, status: 'skipped', text: 'Skipped', details: 'No image to be pulled' })
      continue
    }
    if (options.ignoreBuildable && service.build) {
      show({ id: name, status: 'skipped', text: 'Skipped', details: 'Image can be built' })
      continue
    }
    const present = await engine.images.find(service.image)
    const own = service.pull_policy === undefined || service.pull_policy === 'build' ? 'always' : service.pull_policy
    const decision = decideImage(name, service, present, {
      pull: options.policy ?? own,
      noBuild: true,
      nowMs: Date.now(),
    })
    if (decision.kind === 'use' || decision.kind === 'missing') {
      const details = decision.kind === 'use' ? 'Image is already present locally' : 'pull_policy is never'
      show({ id: `Image ${service.image}`, status: 'skipped', text: 'Skipped', details })
      continue
    }
    const known = wanted.get(service.image)
    if (known) known.names.push(name)
    else
      wanted.set(service.image, { names: [name], platform: service.platform, buildable: service.build !== undefined })
  }
  if (session.dryRun) {
    session.write([...wanted.keys()].map((reference) => `image:${reference}, pullImage, pull\n`).join(''))
    return
  }
  const limiter = createLimiter(session.globals.parallel > 0 ? session.globals.parallel : 8)
  const failures: unknown[] = []
  const mustBuild: string[] = []
  await Promise.all(
    [...wanted].map(([reference, { names, platform, buildable }]) =>
      limiter.run(async () => {
        try {
          await pullImage(engine, reference, platform, {
            emit: show,
            signal: session.signal,
            insecureRegistries: session.globals.insecureRegistries,
          })
        } catch (error) {
          if (buildable) mustBuild.push(...names)
          if (!buildable || !options.ignorePullFailures) failures.push(error)
        }
      }),
    ),
  )
  if (mustBuild.length > 0) {
    session.warn(
      `Some service image(s) must be built from source by running:\n    docker compose build ${mustBuild.join(' ')}`,
    )
  }
  if (failures.length === 0) return
  if (options.ignorePullFailures) for (const error of failures) session.warn(messageOf(error))
  else throw failures[0] instanceof Error ? failures[0] : new TcomposeError('FAILED', messageOf(failures[0]))
}
