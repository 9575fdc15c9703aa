import { confirm } from '../ui/prompt.ts'
import type { Session } from './session.ts'

/** Asks before something is lost; `force` answers for the user. */
export async function sure(session: Session, warning: string, force: boolean | undefined): Promise<boolean> {
  if (force) return true
  return confirm(
    `${warning}\nAre you sure you want to continue?`,
    false,
    { input: process.stdin, output: process.stderr },
    session.signal,
  )
}
