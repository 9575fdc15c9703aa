import { existsSync, readFileSync } from 'node:fs'
import { type MountEntry, readMounts } from './mounts.ts'

/** How the host keeps its control groups. */
export interface CgroupMode {
  /** `hybrid`: v1 controllers, with a v2 tree beside them that has none of those that matter here. */
  readonly version: 'v1' | 'hybrid' | 'v2' | 'none'
  /** systemd is the first process and owns the tree. */
  readonly systemd: boolean
  readonly controllers: readonly string[]
}

export function readCgroupMode(): CgroupMode {
  const root = '/sys/fs/cgroup/cgroup.controllers'
  const unified = existsSync(root) ? readFileSync(root, 'latin1') : ''
  return cgroupModeOf(readMounts(), unified, existsSync('/run/systemd/system'))
}

/** @param unified content of the v2 root's `cgroup.controllers` */
export function cgroupModeOf(mounts: readonly MountEntry[], unified: string, systemd: boolean): CgroupMode {
  const v1 = mounts.filter((mount) => mount.type === 'cgroup')
  const v2 = mounts.filter((mount) => mount.type === 'cgroup2')
  if (v2.some((mount) => mount.mountPoint === '/sys/fs/cgroup')) {
    return { version: 'v2', systemd, controllers: unified.split(/\s+/).filter((name) => name !== '') }
  }
  const known = v1.flatMap((mount) => mount.superOptions.filter((option) => option !== 'rw' && option !== 'ro'))
  const version = v1.length === 0 ? 'none' : v2.length > 0 ? 'hybrid' : 'v1'
  return { version, systemd, controllers: [...new Set(known)].filter((name) => !name.includes('=')) }
}
