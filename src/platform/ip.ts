import { isTcomposeError, TcomposeError } from '../base/errors.ts'
import { type CoProcess, createCoProcess } from './co-process.ts'
import { run } from './exec.ts'

export interface IpOptions {
  /** Complaints that are no failure. */
  readonly ignore?: RegExp
}

let kept: CoProcess | undefined

/** Complaints about a link that is not there (any more). */
export const NO_LINK = /Cannot find device|does not exist|No such device|Device not found/

/**
 * Runs commands of ip(8), each without the leading `ip`, in order; one that fails does not stop the next.
 * @throws TcomposeError UNAVAILABLE naming what the kernel refused and why
 */
export async function ip(commands: readonly string[], options: IpOptions = {}): Promise<void> {
  kept ??= createCoProcess('ip', ['-force', '-batch', '-'], tidy)
  const asked = kept
  const heard = await asked.ask(commands)
  // It remembers which name is which link, also when the kernel has another one of that name by now.
  if (NO_LINK.test(heard) && kept === asked) forgetLinks()
  const complaints = heard.split('\n').filter((line) => line !== '' && !options.ignore?.test(line))
  if (complaints.length === 0) return
  throw new TcomposeError('UNAVAILABLE', `ip ${commands.join(' ; ')}: ${complaints.join(' ')}`)
}

/** Call it after links have gone by another way than `link del dev NAME`, if their names may come again. */
export function forgetLinks(): void {
  kept?.close()
  kept = undefined
}

/** Before a mark ip says `Object "`, and after it that it is unknown and which line failed. */
function tidy(complaints: string): string {
  return complaints
    .replace(/^" is unknown, try "ip help"\.?\n/, '')
    .replace(/^Command failed -:\d+\n?/gm, '')
    .replace(/Object "$/, '')
}

/** A link as `ip -json link` tells it; only what is used here. */
export interface LinkInfo {
  readonly ifname: string
  readonly ifalias?: string
  readonly master?: string
  readonly mtu: number
}

/** All links of a kind in our network namespace. */
export async function listLinks(kind: 'bridge' | 'veth' | 'macvlan' | 'ipvlan'): Promise<readonly LinkInfo[]> {
  try {
    const { stdout } = await run('ip', ['-json', 'link', 'show', 'type', kind])
    return stdout.trim() === '' ? [] : (JSON.parse(stdout) as LinkInfo[]).filter((link) => link.ifname !== undefined)
  } catch (error) {
    // A kernel without that kind of link has none of them.
    if (isTcomposeError(error, 'FAILED') && kind !== 'bridge' && kind !== 'veth') return []
    throw error
  }
}
