import { readdirSync, rmdirSync } from 'node:fs'

const ROOT = '/sys/fs/cgroup'

/** Removes the group that all containers of a state root are in, once the last of them has gone; best effort. */
export function removeCgroupParent(instance: string): void {
  for (const path of [ROOT, ...readdirSync(ROOT).map((controller) => `${ROOT}/${controller}`)]) {
    try {
      rmdirSync(`${path}/${instance}`)
    } catch {
      // It is not there, or somebody (a build step) is still in it.
    }
  }
}
