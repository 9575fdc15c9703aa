import type { Command } from 'commander'
import { TcomposeError } from '../../base/errors.ts'

/** Conversion to other platforms is done by images of Docker's that need its engine. */
export function configure(command: Command): void {
  command
    .argument('[command]')
    .argument('[args...]')
    .allowUnknownOption()
    .passThroughOptions()
    .action(() => {
      throw new TcomposeError('UNSUPPORTED', 'bridge is not supported: its transformations are programs for Docker', {
        hint: 'tcompose config --format json prints the model for other converters',
      })
    })
}
