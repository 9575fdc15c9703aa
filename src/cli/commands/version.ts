import type { Command } from 'commander'
import type { Session } from '../session.ts'
import { VERSION, versionText } from '../version.ts'

export function configure(command: Command, session: Session): void {
  command
    .option('-f, --format <format>', 'Output format: pretty, json', 'pretty')
    .option('--short', 'The number alone')
    .action((options: { format: string; short?: boolean }) => {
      if (options.format === 'json') session.write(`${JSON.stringify({ version: `v${VERSION}` })}\n`)
      else session.write(`${options.short ? VERSION : versionText()}\n`)
    })
}
