import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { forgetLinks, ip, NO_LINK } from '../../platform/ip.ts'

/** How long to wait for more of them: the kernel takes as long for one link as for many. */
const GATHER_MS = 25

/** A number of our own, so that nobody else's links are in the group. */
const group = 0x4000_0000 + (randomBytes(4).readUInt32BE() & 0x3fff_ffff)
let pending: NodeJS.Timeout | undefined
let listening = false

/**
 * Takes bridges out of use at once and deletes them soon after, all together: deleting one takes the kernel some 100 ms.
 * The process stays alive until it is done; one that exits first leaves the deletion to `ip`.
 */
export async function doomLinks(names: readonly string[]): Promise<void> {
  if (names.length === 0) return
  await ip(
    names.map((name) => `link set dev ${name} group ${group} down`),
    { ignore: NO_LINK },
  )
  if (!listening) {
    listening = true
    process.on('exit', deleteDetached)
  }
  pending ??= setTimeout(() => {
    void deleteGroup()
  }, GATHER_MS)
}

async function deleteGroup(): Promise<void> {
  try {
    await ip([`link del group ${group}`], { ignore: NO_LINK })
  } catch {
    // They are down and marked as ours: reconcile finds them.
  } finally {
    forgetLinks()
    pending = undefined
  }
}

function deleteDetached(): void {
  if (!pending) return
  const env = { PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` }
  spawn('ip', ['link', 'del', 'group', String(group)], { stdio: 'ignore', detached: true, env }).unref()
}
