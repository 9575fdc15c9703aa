import { type Command, Option } from 'commander'
import { TcomposeError } from '../../base/errors.ts'
import { checkBuilds, checkSupport } from '../../compose/support.ts'
import { buildServices } from '../../project/images.ts'
import { imageName } from '../../project/names.ts'
import { withDependencies } from '../attached-services.ts'
import { createBuildOutput } from '../build-output.ts'
import { checkServices } from '../choose.ts'
import { environmentOf } from '../environment.ts'
import { collect } from '../options.ts'
import type { Session } from '../session.ts'

interface Options {
  readonly buildArg?: readonly string[]
  readonly builder?: string
  readonly check?: boolean
  readonly memory?: string
  readonly cache: boolean
  readonly print?: boolean
  readonly provenance?: string
  readonly pull?: boolean
  readonly push?: boolean
  readonly quiet?: boolean
  readonly sbom?: string
  readonly ssh?: readonly string[]
  readonly withDependencies?: boolean
}

export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS] [SERVICE...]')
    .argument('[services...]')
    .option('--build-arg <name=value>', 'Set a build argument (repeatable)', collect)
    .option('--builder <name>', 'Accepted for scripts: there is one builder')
    .option('--check', 'Check the Dockerfiles only')
    .option('-m, --memory <bytes>', 'Memory limit of the build')
    .option('--no-cache', 'Do not use the cache')
    .option('--print', 'Print what would be built, as JSON')
    .option('--provenance <value>', 'Add a provenance attestation')
    .option('--pull', 'Pull newer base images')
    .option('--push', 'Push the images when they are built')
    .option('-q, --quiet', 'Print nothing')
    .option('--sbom <value>', 'Add a bill of materials')
    .option('--ssh <key>', 'SSH agent or keys for the build (repeatable)', collect)
    .option('--with-dependencies', 'Build services that they depend on too')
    .addOption(new Option('--progress <type>').hideHelp())
    .addOption(new Option('--compress').hideHelp())
    .addOption(new Option('--force-rm').hideHelp())
    .addOption(new Option('--no-rm').hideHelp())
    .addOption(new Option('--parallel').hideHelp())
    .action((services: readonly string[], options: Options) => build(session, services, options))
}

async function build(session: Session, services: readonly string[], options: Options): Promise<void> {
  if (options.memory !== undefined) {
    throw new TcomposeError('UNSUPPORTED', '--memory is not supported: build steps have no limit of their own')
  }
  const project = await session.project({ services, keepOthers: true })
  checkServices(services, project, [])
  const wanted =
    services.length === 0
      ? Object.keys(project.services)
      : options.withDependencies
        ? withDependencies(project, services, true)
        : services
  const names = wanted.filter((name) => project.services[name]?.build)
  for (const name of services) {
    if (!project.services[name]?.build && !options.withDependencies)
      session.warn(`service ${name} has nothing to build`)
  }
  if (names.length === 0) {
    session.warn('No services to build')
    return
  }
  if (options.print || session.dryRun) {
    const targets = Object.fromEntries(names.map((name) => [name, project.services[name]?.build]))
    session.write(
      options.print
        ? `${JSON.stringify({ target: targets }, null, 2)}\n`
        : names.map((name) => `service:${name}, buildImage, build\n`).join(''),
    )
    return
  }
  const isAnswered = (attribute: string): boolean =>
    (attribute === 'provenance' ? options.provenance : attribute === 'sbom' ? options.sbom : undefined) !== undefined
  const [refused, ...others] = checkBuilds(project, names, isAnswered)
  if (refused) throw new TcomposeError(refused.code, refused.message, { others })
  for (const { message } of checkSupport(project).warnings) {
    if (names.some((name) => message.startsWith(`services.${name}.build.`))) session.warn(message)
  }
  const engine = await session.engine()
  const { emit } = await session.progress()
  const output = createBuildOutput({
    stream: process.stdout,
    quiet: options.quiet ?? session.globals.progress === 'quiet',
  })
  const args = environmentOf(options.buildArg ?? [], { ...project.environment, ...session.env })
  await buildServices(project, engine, names, {
    emit,
    signal: session.signal,
    concurrency: session.globals.parallel,
    onBuildEvent: (service, event) => output.show(service, event),
    onWarning: (message) => session.warn(message),
    buildOverrides: {
      args: Object.fromEntries(
        args.map((text) => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)]),
      ),
      ...(options.cache ? {} : { noCache: true }),
      ...(options.pull ? { pull: true } : {}),
      ssh: options.ssh ?? [],
      provenance: options.provenance,
      sbom: options.sbom,
      check: options.check ?? false,
    },
  })
  if (options.push) {
    const { pushImages } = await import('../push-images.ts')
    await pushImages(
      session,
      names.flatMap((name) => {
        const service = project.services[name]
        return service
          ? [{ service: name, reference: imageName(project, name, service), named: service.image !== undefined }]
          : []
      }),
      { ignoreFailures: false },
    )
  }
}
