import { pipeline } from 'node:stream/promises'
import type { Command } from 'commander'
import { TcomposeError } from '../../base/errors.ts'
import { openScope, pickOne } from '../choose.ts'
import { openOutput } from '../open-output.ts'
import { integer } from '../options.ts'
import type { Session } from '../session.ts'

export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS] SERVICE')
    .argument('<service>')
    .option('--index <n>', 'Which container of the service', integer('--index'))
    .option('-o, --output <file>', 'Write to a file in place of stdout')
    .action(async (service: string, options: { index?: number; output?: string }) => {
      const container = pickOne(await openScope(session, [service]), service, options.index)
      if (options.output === undefined && process.stdout.isTTY) {
        throw new TcomposeError('INVALID', 'output option is required when exporting to terminal', {
          hint: 'give -o FILE, or redirect stdout',
        })
      }
      const { emit } = await session.progress()
      const engine = await session.engine()
      const out = options.output === undefined ? undefined : await openOutput(options.output)
      const tar = await engine.containers.export(container.id)
      if (out === undefined) {
        await pipeline(tar, process.stdout, { end: false })
        return
      }
      emit({ id: container.name, status: 'working', text: 'Exporting' })
      await pipeline(tar, out)
      emit({ id: container.name, status: 'done', text: 'Exported' })
    })
}
