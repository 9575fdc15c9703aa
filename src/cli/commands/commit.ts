import type { Command } from 'commander'
import { openScope, pickOne } from '../choose.ts'
import { collect, integer, onByDefault } from '../options.ts'
import type { Session } from '../session.ts'

interface Options {
  readonly author?: string
  readonly change?: readonly string[]
  readonly index?: number
  readonly message?: string
  readonly pause: boolean
}

export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS] SERVICE [REPOSITORY[:TAG]]')
    .argument('<service>')
    .argument('[reference]')
    .option('-a, --author <name>', 'Author')
    .option('-c, --change <instruction>', 'Dockerfile instruction for its configuration (repeatable)', collect)
    .option('--index <n>', 'Which container of the service', integer('--index'))
    .option('-m, --message <text>', 'Comment')
  onByDefault(command, '-p, --pause', 'Freeze the container meanwhile')
  command.action(async (service: string, reference: string | undefined, options: Options) => {
    const container = pickOne(await openScope(session, [service]), service, options.index)
    const engine = await session.engine()
    const { emit } = await session.progress()
    const { commitContainer } = await import('../../engine/images/commit.ts')
    emit({ id: container.name, status: 'working', text: 'Committing' })
    const { id } = await commitContainer(engine, container, {
      reference,
      changes: options.change ?? [],
      author: options.author,
      message: options.message,
      pause: options.pause,
    })
    emit({ id: container.name, status: 'done', text: 'Committed', details: id })
  })
}
