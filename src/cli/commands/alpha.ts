import type { Command } from 'commander'
import { TcomposeError } from '../../base/errors.ts'

const REPLACED: Readonly<Record<string, string>> = {
  'dry-run': 'tcompose --dry-run COMMAND',
  scale: 'tcompose scale',
  viz: 'tcompose viz',
  watch: 'tcompose watch',
  publish: 'tcompose publish',
}

/** Docker's experiments are not followed; most have a proper verb by now, which is named. */
export function configure(command: Command): void {
  command
    .argument('[command]')
    .argument('[args...]')
    .allowUnknownOption()
    .passThroughOptions()
    .action((name: string | undefined) => {
      const better = REPLACED[name ?? '']
      throw new TcomposeError('UNSUPPORTED', `experimental command "alpha${name ? ` ${name}` : ''}" is not supported`, {
        hint: better ? `use ${better}` : undefined,
      })
    })
}
