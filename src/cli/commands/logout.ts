import type { Command } from 'commander'
import type { Session } from '../session.ts'

export function configure(command: Command, session: Session): void {
  command.argument('[server]', 'Registry host; Docker Hub when absent').action(async (server: string | undefined) => {
    const { logout } = await import('../../engine/registry/login.ts')
    const { domain, erased } = await logout({ env: session.env, server })
    session.write(erased ? `Removing login credentials for ${domain}\n` : `Not logged in to ${domain}\n`)
  })
}
