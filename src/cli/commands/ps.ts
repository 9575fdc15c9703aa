import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { TcomposeError } from '../../base/errors.ts'
import { isOneOff, serviceOf } from '../../project/names.ts'
import { NOTHING } from '../../project/observed.ts'
import { orphansOf } from '../../project/plan-orphans.ts'
import { openScope, pick } from '../choose.ts'
import { containerView } from '../container-view.ts'
import { formatRows } from '../format.ts'
import { collect, onByDefault } from '../options.ts'
import type { Session } from '../session.ts'

interface Options {
  readonly all?: boolean
  readonly filter?: string
  readonly format?: string
  readonly trunc: boolean
  readonly orphans: boolean
  readonly quiet?: boolean
  readonly services?: boolean
  readonly status?: readonly string[]
}

const COLUMNS = [
  ['NAME', 'Name'],
  ['IMAGE', 'Image'],
  ['COMMAND', 'Command'],
  ['SERVICE', 'Service'],
  ['CREATED', 'RunningFor'],
  ['STATUS', 'Status'],
  ['PORTS', 'Ports'],
] as const

export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS] [SERVICE...]')
    .argument('[services...]')
    .option('-a, --all', 'Show stopped containers and one-offs too')
    .option('--filter <filter>', 'Filter by a property: status=…')
    .option('--format <format>', 'table, table TEMPLATE, json, or a Go template')
    .option('--no-trunc', 'Do not cut the output')
    .option('-q, --quiet', 'Show ids alone')
    .option('--services', 'Show services')
    .option(
      '--status <status>',
      'Filter by status: paused, restarting, removing, running, dead, created, exited',
      collect,
    )
  onByDefault(command, '--orphans', 'Include containers of services that the file does not define')
  command.action(async (services: readonly string[], options: Options) => {
    const statuses = [...(options.status ?? []), ...filterStatuses(options.filter)]
    const scope = await openScope(session, services)
    const orphans = scope.project ? orphansOf(scope.project, { ...NOTHING, containers: scope.containers }) : []
    const all = options.all || statuses.length > 0
    const shown = pick(scope.containers, { services, oneOffs: true }).filter((one) => {
      if (!options.orphans && orphans.some((orphan) => orphan.id === one.id)) return false
      if (statuses.length > 0) return statuses.includes(one.state.status)
      if (all) return true
      return one.state.status !== 'exited' && one.state.status !== 'created' && one.state.status !== 'dead'
    })
    if (options.quiet) {
      session.write(shown.map((one) => `${one.id}\n`).join(''))
      return
    }
    if (options.services) {
      const names = [...new Set(shown.filter((one) => !isOneOff(one)).map(serviceOf))]
      session.write(names.map((one) => `${one}\n`).join(''))
      return
    }
    const format = options.format ?? configuredFormat(session.env)
    const views = shown.map((one) => containerView(one, { truncate: options.trunc, nowMs: Date.now() }))
    session.write(formatRows(format, COLUMNS, views))
  })
}

function filterStatuses(filter: string | undefined): readonly string[] {
  if (filter === undefined) return []
  const [key, value] = filter.split('=')
  if (value === undefined) throw new TcomposeError('INVALID', 'arguments to --filter should be in form KEY=VAL')
  if (key === 'status') return [value]
  if (key === 'source') throw new TcomposeError('UNSUPPORTED', 'filter "source" is not supported')
  throw new TcomposeError('INVALID', `unknown filter ${key}`, { hint: 'status=… is known' })
}

/** `psFormat` of the docker CLI's configuration, which people have set for `docker compose ps` too. */
function configuredFormat(env: NodeJS.ProcessEnv): string {
  try {
    const path = join(env.DOCKER_CONFIG ?? join(env.HOME ?? homedir(), '.docker'), 'config.json')
    const config = JSON.parse(readFileSync(path, 'utf8')) as { readonly psFormat?: string }
    return config.psFormat ?? 'table'
  } catch {
    return 'table'
  }
}
