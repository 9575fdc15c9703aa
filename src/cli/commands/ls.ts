import type { Command } from 'commander'
import { TcomposeError } from '../../base/errors.ts'
import type { Container } from '../../engine/containers/types.ts'
import { LABEL } from '../../project/labels.ts'
import { formatTable } from '../../ui/table.ts'
import { collect } from '../options.ts'
import type { Session } from '../session.ts'

interface Options {
  readonly all?: boolean
  readonly filter?: readonly string[]
  readonly format: string
  readonly quiet?: boolean
}

export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS]')
    .option('-a, --all', 'Show stopped projects too')
    .option('--filter <filter>', 'Filter: name=REGEX', collect)
    .option('--format <format>', 'table, json', 'table')
    .option('-q, --quiet', 'Show names alone')
    .action(async (options: Options) => {
      const engine = await session.engine()
      const containers = await engine.containers.list({ labels: [LABEL.project, LABEL.configHash] })
      const projects = stacks(containers, options.all ?? false).filter((one) => matches(one.Name, options.filter ?? []))
      if (options.quiet) session.write(projects.map((one) => `${one.Name}\n`).join(''))
      else if (options.format === 'json') session.write(`${JSON.stringify(projects)}\n`)
      else {
        session.write(
          formatTable(
            ['NAME', 'STATUS', 'CONFIG FILES'],
            projects.map((one) => [one.Name, one.Status, one.ConfigFiles]),
          ),
        )
      }
    })
}

function matches(name: string, filters: readonly string[]): boolean {
  return filters.every((filter) => {
    const [key, value] = filter.split('=')
    if (key !== 'name' || value === undefined) {
      throw new TcomposeError('INVALID', `invalid filter ${JSON.stringify(filter)}`, { hint: 'name=REGEX is known' })
    }
    return new RegExp(value).test(name)
  })
}

/** Projects by their containers' labels, with a count of each status. */
function stacks(
  containers: readonly Container[],
  all: boolean,
): readonly { readonly Name: string; readonly Status: string; readonly ConfigFiles: string }[] {
  const byName = Map.groupBy(containers, (one) => one.labels[LABEL.project] ?? '')
  return [...byName]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, members]) => {
      const shown = all ? members : members.filter((one) => one.state.status === 'running')
      if (shown.length === 0) return []
      const counts = Map.groupBy(shown, (one) => one.state.status)
      const status = [...counts]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([one, list]) => `${one}(${list.length})`)
        .join(', ')
      const files = new Set(
        members.flatMap((one) => (one.labels[LABEL.configFiles] ?? '').split(',').filter((file) => file !== '')),
      )
      return [{ Name: name, Status: status, ConfigFiles: [...files].join(',') || 'N/A' }]
    })
}
