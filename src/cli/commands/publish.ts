import type { Command } from 'commander'
import { TcomposeError } from '../../base/errors.ts'
import { hidden } from '../options.ts'

export function configure(command: Command): void {
  command
    .usage('[OPTIONS] REPOSITORY[:TAG]')
    .argument('<repository>')
    .option('--app', 'Publish the images too')
    .addOption(hidden('--insecure-registry'))
    .option('--oci-version <version>', 'OCI version of the artifact')
    .option('--resolve-image-digests', 'Pin image digests')
    .option('--with-env', 'Include environment variables')
    .option('-y, --yes', 'Answer yes to every question')
    .action(() => {
      throw new TcomposeError(
        'UNSUPPORTED',
        'publish is not supported: projects as OCI artifacts cannot be written yet',
        {
          hint: 'tcompose config --lock-image-digests prints a self-contained file to pass on',
        },
      )
    })
}
