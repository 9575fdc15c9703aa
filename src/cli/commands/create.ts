import type { Command } from 'commander'
import type { Session } from '../session.ts'
import { create } from '../up.ts'
import { addCreateOptions, type CreateOptions } from '../up-options.ts'

export function configure(command: Command, session: Session): void {
  addCreateOptions(command.usage('[OPTIONS] [SERVICE...]').argument('[services...]')).action(
    (services: readonly string[], options: CreateOptions) => create(session, services, options),
  )
}
