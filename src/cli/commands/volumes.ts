import type { Command } from 'commander'
import { LABEL } from '../../project/labels.ts'
import { openScope, pick } from '../choose.ts'
import { formatRows } from '../format.ts'
import type { Session } from '../session.ts'

const COLUMNS = [
  ['DRIVER', 'Driver'],
  ['VOLUME NAME', 'Name'],
] as const

export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS] [SERVICE...]')
    .argument('[services...]')
    .option('--format <format>', 'table, table TEMPLATE, json, or a Go template', 'table')
    .option('-q, --quiet', 'Show names alone')
    .action(async (services: readonly string[], options: { format: string; quiet?: boolean }) => {
      const scope = await openScope(session, services)
      const engine = await session.engine()
      const own = await engine.volumes.list({ labels: [`${LABEL.project}=${scope.name}`] })
      const used = new Set(
        pick(scope.containers, { services }).flatMap((one) =>
          one.mounts.flatMap((mount) => (mount.name ? [mount.name] : [])),
        ),
      )
      const shown = services.length === 0 ? own : own.filter((one) => used.has(one.name))
      if (options.quiet) {
        session.write(shown.map((one) => `${one.name}\n`).join(''))
        return
      }
      const rows = shown.map((one) => ({
        Availability: 'N/A',
        Driver: one.driver,
        Group: 'N/A',
        Labels: Object.entries(one.labels)
          .map(([key, value]) => `${key}=${value}`)
          .join(','),
        Links: 'N/A',
        Mountpoint: one.mountpoint,
        Name: one.name,
        Scope: 'local',
        Size: 'N/A',
        Status: 'N/A',
      }))
      session.write(formatRows(options.format, COLUMNS, rows))
    })
}
