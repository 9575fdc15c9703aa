import { resolve } from 'node:path'
import { nameHash } from '../../base/name-hash.ts'

const DEFAULT_ROOT = '/var/lib/tcompose'
const DEFAULT_RUN = '/run/tcompose'

/** Where everything of one state root lies. All directories are 0700; nothing here assumes uid 0. */
export interface EnginePaths {
  /** Survives a reboot. */
  readonly root: string
  /** Does not. */
  readonly run: string
  /**
   * Prefix of kernel objects that have one name space for the whole host (nft table, cgroup): `tcompose` for the
   * default root, `tcompose-xxxxxxxx` for any other, so that engines side by side never touch each other's.
   */
  readonly instance: string
  readonly database: string
  readonly blobs: string
  readonly layers: string
  readonly volumes: string
  /** Per container, by id: upper, work, hosts, hostname, resolv.conf, log, data files. */
  readonly containers: string
  readonly temporary: string
  readonly cacheMounts: string
  /** Per container, by the first 32 digits of its id (socket paths are short): bundle, shim socket, pid, exit. */
  readonly bundles: string
  readonly runcRoot: string
  readonly agentSocket: string
  readonly apiSocket: string
}

/** From TCOMPOSE_ROOT and TCOMPOSE_RUN; a moved root without TCOMPOSE_RUN gets a run directory of its own. */
export function enginePaths(env: NodeJS.ProcessEnv): EnginePaths {
  const root = resolve(env.TCOMPOSE_ROOT || DEFAULT_ROOT)
  const isDefault = root === DEFAULT_ROOT
  const instance = isDefault ? 'tcompose' : `tcompose-${nameHash(root)}`
  const run = resolve(env.TCOMPOSE_RUN || (isDefault ? DEFAULT_RUN : `/run/${instance}`))
  return {
    root,
    run,
    instance,
    database: `${root}/state.db`,
    blobs: `${root}/blobs/sha256`,
    layers: `${root}/layers`,
    volumes: `${root}/volumes`,
    containers: `${root}/containers`,
    temporary: `${root}/tmp`,
    cacheMounts: `${root}/cache-mounts`,
    bundles: `${run}/c`,
    runcRoot: `${run}/runc`,
    agentSocket: `${run}/agent.sock`,
    apiSocket: `${run}/docker.sock`,
  }
}

export function containerDir(paths: EnginePaths, id: string): string {
  return `${paths.containers}/${id}`
}

export function bundleDir(paths: EnginePaths, id: string): string {
  return `${paths.bundles}/${id.slice(0, 32)}`
}
