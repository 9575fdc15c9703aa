import { followFiles, type WatchFlags } from './follow-files.ts'
import type { Session } from './session.ts'
import { up } from './up.ts'

/** `watch`: everything is built and started, then changes of files are followed until Ctrl-C. */
export async function watchServices(
  session: Session,
  services: readonly string[],
  flags: WatchFlags & { readonly up: boolean },
): Promise<void> {
  if (flags.up) await up(session, services, { detach: true, build: true, quietBuild: flags.quiet })
  await followFiles(session, services, flags, session.signal)
}
