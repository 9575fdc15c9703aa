import { writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { TcomposeError } from '../../base/errors.ts'
import { serviceHash } from '../../compose/hash.ts'
import { formatProject } from '../../compose/output.ts'
import type { LoadedProject, Project, Variable } from '../../compose/types.ts'
import { imageName } from '../../project/names.ts'
import { formatTable } from '../../ui/table.ts'
import { loadWith } from '../load.ts'
import { hidden } from '../options.ts'
import type { Session } from '../session.ts'

interface Options {
  readonly environment?: boolean
  readonly format?: string
  readonly hash?: string
  readonly images?: boolean
  readonly lockImageDigests?: boolean
  readonly models?: boolean
  readonly networks?: boolean
  readonly consistency: boolean
  readonly envResolution: boolean
  readonly interpolate: boolean
  readonly normalize: boolean
  readonly pathResolution: boolean
  readonly output?: string
  readonly profiles?: boolean
  readonly quiet?: boolean
  readonly resolveImageDigests?: boolean
  readonly services?: boolean
  readonly variables?: boolean
  readonly volumes?: boolean
}

export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS] [SERVICE...]')
    .argument('[services...]')
    .option('--environment', 'Print the variables that are used for interpolation')
    .option('--format <format>', 'yaml or json')
    .option('--hash <services>', 'Print the hash of each service, * for all')
    .option('--images', 'Print image names')
    .option('--lock-image-digests', 'Print an override file with image digests')
    .option('--models', 'Print model names')
    .option('--networks', 'Print network names')
    .option('--no-consistency', 'Do not check the model as a whole')
    .option('--no-env-resolution', 'Do not read env files of services')
    .option('--no-interpolate', 'Do not fill in variables')
    .option('--no-normalize', 'Do not complete the model')
    .option('--no-path-resolution', 'Do not make paths absolute')
    .option('-o, --output <file>', 'Write to a file')
    .option('--profiles', 'Print profile names')
    .option('-q, --quiet', 'Check only')
    .option('--resolve-image-digests', 'Pin image tags to digests')
    .option('--services', 'Print service names')
    .option('--variables', 'Print the variables of the file and their defaults')
    .option('--volumes', 'Print volume names')
    .addOption(hidden('--no-trunc'))
    .action((services: readonly string[], options: Options) => config(session, services, options))
}

async function config(session: Session, services: readonly string[], options: Options): Promise<void> {
  if (options.format !== undefined && !['yaml', 'json'].includes(options.format) && !options.variables) {
    throw new TcomposeError('INVALID', `unsupported format ${JSON.stringify(options.format)}`, {
      hint: 'yaml or json is expected',
    })
  }
  const raw = !options.interpolate || options.variables === true
  if (raw && services.length > 0) {
    const flag = options.variables ? '--variables' : '--no-interpolate'
    session.warn(`service filtering is not applied when ${flag} is set`)
  }
  const loaded = await loadWith(session, {
    services: raw ? [] : services,
    noDeps: false,
    // Checks and listings look at the whole file.
    ...(raw ? { keepOthers: true } : {}),
    noInterpolate: !options.interpolate,
    noNormalize: !options.normalize,
    noPathResolution: !options.pathResolution,
    noConsistency: !options.consistency,
    noEnvResolution: !options.envResolution,
  })
  if (options.quiet) return
  const text = await render(session, loaded, options)
  if (options.output === undefined) session.write(text)
  else writeFileSync(options.output, text)
}

async function render(session: Session, loaded: LoadedProject, options: Options): Promise<string> {
  const { project } = loaded
  const lines = (names: readonly string[]): string => names.map((name) => `${name}\n`).join('')
  const names = Object.keys(project.services).sort()
  if (options.variables) return formatVariables(loaded.variables, options.format)
  if (options.environment) {
    return lines(
      Object.entries(project.environment)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, value]) => `${key}=${value}`),
    )
  }
  if (options.services) return lines(names)
  if (options.volumes) return lines(Object.keys(project.volumes).sort())
  if (options.networks) return lines(Object.keys(project.networks).sort())
  if (options.models) {
    return lines(
      Object.values(project.models)
        .flatMap((model) => (model.model ? [model.model] : []))
        .sort(),
    )
  }
  if (options.profiles) return lines(profilesOf(project))
  if (options.images) return lines(imagesOf(project, names))
  if (options.hash !== undefined) {
    const wanted = options.hash === '*' ? names : options.hash.split(',')
    return lines(wanted.map((name) => `${name} ${hashOf(project, name)}`))
  }
  const format = options.format === 'json' ? 'json' : 'yaml'
  if (options.lockImageDigests || options.resolveImageDigests) {
    const { resolveDigests } = await import('../resolve-digests.ts')
    const images = await resolveDigests(session, project)
    if (options.lockImageDigests) {
      const locked = Object.fromEntries(
        [...images].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, image]) => [name, { image }]),
      )
      return formatLock(locked, format)
    }
    return `${formatProject(project, { format, escapeDollars: options.interpolate, images })}\n`
  }
  return `${formatProject(project, { format, escapeDollars: options.interpolate })}\n`
}

function hashOf(project: Project, name: string): string {
  if (!project.services[name]) throw new TcomposeError('NOT_FOUND', `no such service: ${name}`)
  return serviceHash(project, name)
}

function profilesOf(project: Project): readonly string[] {
  const all = [...Object.values(project.services), ...Object.values(project.disabled_services)]
  return [...new Set(all.flatMap((service) => service.profiles ?? []))].sort()
}

function imagesOf(project: Project, names: readonly string[]): readonly string[] {
  return names.flatMap((name) => {
    const service = project.services[name]
    return service && !service.provider ? [imageName(project, name, service)] : []
  })
}

function formatLock(services: Readonly<Record<string, { readonly image: string }>>, format: 'yaml' | 'json'): string {
  if (format === 'json') return `${JSON.stringify({ services }, null, 2)}\n`
  const body = Object.entries(services).map(([name, { image }]) => `  ${name}:\n    image: ${image}\n`)
  return `services:\n${body.join('')}`
}

function formatVariables(variables: readonly Variable[], format: string | undefined): string {
  const sorted = [...variables].sort((a, b) => (a.name < b.name ? -1 : 1))
  if (format === 'json') {
    const shown = Object.fromEntries(
      sorted.map((one) => [
        one.name,
        { Name: one.name, DefaultValue: one.default, PresenceValue: one.alternate, Required: one.required },
      ]),
    )
    return `${JSON.stringify(shown, null, 4)}\n`
  }
  if (format === 'yaml') {
    return sorted
      .map(
        (one) =>
          `${one.name}:\n    name: ${one.name}\n    defaultvalue: ${JSON.stringify(one.default)}\n    presencevalue: ${JSON.stringify(one.alternate)}\n    required: ${one.required}\n`,
      )
      .join('')
  }
  return formatTable(
    ['NAME', 'REQUIRED', 'DEFAULT VALUE', 'ALTERNATE VALUE'],
    sorted.map((one) => [one.name, String(one.required), one.default, one.alternate]),
  )
}
