import { posix, relative, sep } from 'node:path'

export type WatchAction = 'sync' | 'rebuild' | 'restart' | 'sync+restart' | 'sync+exec'

/** One `develop.watch` entry of one service, with absolute host paths. */
export interface WatchRule {
  readonly service: string
  readonly action: WatchAction
  /** Absolute path of a file or folder on the host. */
  readonly path: string
  /** Where it is in the container; absent for `rebuild` and `restart`. */
  readonly target: string | undefined
  /** True when a path, relative to `path`, is not to be acted on. */
  readonly ignores: (relativePath: string) => boolean
  /** True when nothing below a folder can be of interest either, so that it need not be walked. */
  readonly prunes: (relativePath: string) => boolean
  readonly initialSync: boolean
  readonly exec: WatchExec | undefined
}

export interface WatchExec {
  readonly command: readonly string[]
  readonly user: string | undefined
  readonly privileged: boolean
  readonly workingDir: string | undefined
  readonly environment: readonly string[]
}

/** What a set of changed host paths asks for, per service. */
export interface ServiceWork {
  readonly service: string
  readonly rebuild: boolean
  readonly restart: boolean
  /** Host path → container path; whether it is to be copied or removed is seen when it is done. */
  readonly sync: ReadonlyMap<string, string>
  readonly execs: readonly WatchExec[]
}

/**
 * Decides what is to be done for changed host paths: pure. The first rule of a service that a path matches wins, as in
 * Compose. A rebuild makes the rest of that service's work needless: the new image holds the files.
 */
export function decideWork(rules: readonly WatchRule[], changed: readonly string[]): readonly ServiceWork[] {
  const services = new Map<
    string,
    { rebuild: boolean; restart: boolean; sync: Map<string, string>; execs: Set<WatchExec> }
  >()
  for (const path of changed) {
    const served = new Set<string>()
    for (const rule of rules) {
      if (served.has(rule.service)) continue
      const inside = relativeInside(rule.path, path)
      if (inside === undefined || (inside !== '' && rule.ignores(inside))) continue
      served.add(rule.service)
      let work = services.get(rule.service)
      if (!work) {
        work = { rebuild: false, restart: false, sync: new Map(), execs: new Set() }
        services.set(rule.service, work)
      }
      switch (rule.action) {
        case 'rebuild':
          work.rebuild = true
          break
        case 'restart':
          work.restart = true
          break
        case 'sync':
        case 'sync+restart':
        case 'sync+exec':
          work.sync.set(path, inside === '' ? (rule.target as string) : posix.join(rule.target as string, inside))
          if (rule.action === 'sync+restart') work.restart = true
          if (rule.action === 'sync+exec' && rule.exec) work.execs.add(rule.exec)
      }
    }
  }
  return [...services].map(([service, work]) => ({
    service,
    rebuild: work.rebuild,
    restart: work.restart && !work.rebuild,
    sync: work.rebuild ? new Map() : work.sync,
    execs: work.rebuild ? [] : [...work.execs],
  }))
}

/** `path` relative to `root` with `/`, '' for the root itself, undefined when it lies outside. */
export function relativeInside(root: string, path: string): string | undefined {
  if (path === root) return ''
  const inside = relative(root, path)
  return inside.startsWith(`..${sep}`) || inside === '..' ? undefined : inside.split(sep).join('/')
}

/** Files that editors and tools make for a moment, and Git's own: never of interest to a container. */
export function isEphemeral(relativePath: string): boolean {
  const parts = relativePath.split('/')
  if (parts.includes('.git')) return true
  const name = parts.at(-1) as string
  return (
    name === '4913' || // vim's write test
    /^\.#|^#.*#$|~$|\.sw[a-z]$|\.swx$|^\.~lock\.|___jb_(?:old|tmp|bak)___$|^\.goutputstream-|\.DS_Store$|^\.idea$|\.tmp\.\d+\.\d+$/.test(
      name,
    )
  )
}
