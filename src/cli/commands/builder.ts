import type { Command } from 'commander'
import { formatSize, parseSizeBytes } from '../../base/size.ts'
import type { Session } from '../session.ts'
import { sure } from '../sure.ts'

interface Options {
  readonly all?: boolean
  readonly force?: boolean
  readonly keepStorage?: string
  readonly olderThan?: string
}

export function configure(command: Command, session: Session): void {
  command.usage('COMMAND').action(() => command.help())
  command
    .command('prune')
    .description('Remove entries of the build cache')
    .option('-a, --all', 'All of it, not only what no image uses')
    .option('-f, --force', 'Do not ask')
    .option('--keep-storage <bytes>', 'Keep so much, the least recently used goes first')
    .option('--older-than <duration>', 'Only what has not been used for so long')
    .action(async (options: Options) => {
      if (!(await sure(session, 'WARNING! This will remove build cache.', options.force))) return
      const { removed, bytes } = await (await session.engine()).builder.prune({
        all: options.all ?? false,
        ...(options.keepStorage === undefined ? {} : { keepBytes: parseSizeBytes(options.keepStorage) }),
        ...(options.olderThan === undefined ? {} : { olderThan: options.olderThan }),
      })
      session.write(`${removed.map((one) => `${one}\n`).join('')}Total reclaimed space: ${formatSize(bytes)}\n`)
    })
}
