import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { messageOf } from '../../base/errors.ts'
import { run } from '../../platform/exec.ts'
import type { EnginePaths } from '../state/paths.ts'
import type { HostCheck } from './check-host.ts'

/** Mounts a small overlay where the state root is (or would be), in a mount namespace of its own. */
export async function checkOverlay(paths: EnginePaths): Promise<Omit<HostCheck, 'id' | 'title'>> {
  let base = paths.temporary
  while (!existsSync(base)) base = base.slice(0, base.lastIndexOf('/')) || '/'
  const folder = mkdtempSync(`${base}/.tcompose-check-`)
  try {
    for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(`${folder}/${name}`)
    const script = 'mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged && touch merged/file'
    await run('unshare', ['--mount', '--propagation', 'private', 'sh', '-ec', script], { cwd: folder })
    return { status: 'ok', detail: `works on ${base}` }
  } catch (error) {
    return {
      status: 'fail',
      detail: messageOf(error),
      fix: 'modprobe overlay; if the state root lies on overlay, NFS or the like, set TCOMPOSE_ROOT to a directory on ext4, xfs, btrfs or tmpfs',
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
