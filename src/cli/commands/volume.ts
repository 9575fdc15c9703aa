import type { Command } from 'commander'
import { formatSize } from '../../base/size.ts'
import { formatRows } from '../format.ts'
import { keyValues } from '../key-values.ts'
import { collect } from '../options.ts'
import type { Session } from '../session.ts'
import { sure } from '../sure.ts'

const COLUMNS = [
  ['DRIVER', 'Driver'],
  ['VOLUME NAME', 'Name'],
] as const

export function configure(command: Command, session: Session): void {
  command.usage('COMMAND').action(() => command.help())

  command
    .command('create')
    .description('Create a volume')
    .argument('[name]')
    .option('-d, --driver <driver>', 'Driver', 'local')
    .option('-o, --opt <name=value>', 'Driver option (repeatable)', collect)
    .option('--label <name=value>', 'Label (repeatable)', collect)
    .action(
      async (
        name: string | undefined,
        options: { driver: string; opt?: readonly string[]; label?: readonly string[] },
      ) => {
        const volume = await (await session.engine()).volumes.create({
          name,
          driver: options.driver,
          driverOpts: keyValues(options.opt ?? []),
          labels: keyValues(options.label ?? []),
        })
        session.write(`${volume.name}\n`)
      },
    )

  command
    .command('ls')
    .aliases(['list'])
    .description('List volumes')
    .option('-q, --quiet', 'Show names alone')
    .option('--format <format>', 'table, table TEMPLATE, json, or a Go template', 'table')
    .action(async (options: { quiet?: boolean; format: string }) => {
      const volumes = await (await session.engine()).volumes.list()
      if (options.quiet) return session.write(volumes.map((one) => `${one.name}\n`).join(''))
      const rows = volumes.map((one) => ({
        Driver: one.driver,
        Name: one.name,
        Mountpoint: one.mountpoint,
        Labels: Object.entries(one.labels)
          .map(([key, value]) => `${key}=${value}`)
          .join(','),
        Scope: 'local',
      }))
      session.write(formatRows(options.format, COLUMNS, rows))
    })

  command
    .command('inspect')
    .description('Show volumes in detail')
    .argument('<volumes...>')
    .action(async (names: readonly string[]) => {
      const engine = await session.engine()
      const volumes = await Promise.all(names.map((one) => engine.volumes.get(one)))
      const shown = volumes.map((one) => ({
        CreatedAt: one.createdAt,
        Driver: one.driver,
        Labels: one.labels,
        Mountpoint: one.mountpoint,
        Name: one.name,
        Options: one.driverOpts,
        Scope: 'local',
      }))
      session.write(`${JSON.stringify(shown, null, 4)}\n`)
    })

  command
    .command('rm')
    .aliases(['remove'])
    .description('Remove volumes')
    .argument('<volumes...>')
    .option('-f, --force', 'No error for one that is not there')
    .action(async (names: readonly string[], options: { force?: boolean }) => {
      const engine = await session.engine()
      for (const name of names) {
        if (options.force && !(await engine.volumes.find(name))) continue
        await engine.volumes.remove(name, { force: options.force ?? false })
        session.write(`${name}\n`)
      }
    })

  command
    .command('prune')
    .description('Remove volumes that no container has')
    .option('-a, --all', 'Named ones too, not only anonymous ones')
    .option('-f, --force', 'Do not ask')
    .action(async (options: { all?: boolean; force?: boolean }) => {
      const what = options.all ? 'all volumes' : 'anonymous volumes'
      if (
        !(await sure(session, `WARNING! This will remove ${what} not used by at least one container.`, options.force))
      )
        return
      const { removed, bytes } = await (await session.engine()).volumes.prune({ all: options.all ?? false })
      session.write(`${removed.map((one) => `${one}\n`).join('')}Total reclaimed space: ${formatSize(bytes)}\n`)
    })
}
