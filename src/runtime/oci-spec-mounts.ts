import { TcomposeError } from '../base/errors.ts'
import type { OciSpecInput, SpecMount } from './oci-spec-input.ts'
import type { OciMount } from './oci-spec-types.ts'

const DEFAULT_SHM_BYTES = 64 * 1024 * 1024

/** All mounts in the order runc makes them: the system's, then the user's and the engine's files from short to long. */
export function mountsOf(input: OciSpecInput, privileged: boolean): readonly OciMount[] {
  const own = input.mounts ?? []
  const covered = new Set(own.map((mount) => mount.target))
  const system = systemMounts(input, privileged).filter((mount) => !covered.has(mount.destination))
  const placed: OciMount[] = own.map(userMount)
  if (input.initPath !== undefined) {
    placed.push({ destination: '/sbin/docker-init', type: 'bind', source: input.initPath, options: ['bind', 'ro'] })
  }
  const { resolvConf, hostname, hosts } = input.files ?? {}
  for (const [destination, source] of [
    ['/etc/resolv.conf', resolvConf],
    ['/etc/hostname', hostname],
    ['/etc/hosts', hosts],
  ] as const) {
    if (source === undefined || covered.has(destination)) continue
    const options = ['rbind', ...(input.readOnlyRootfs ? ['ro'] : []), 'rprivate']
    placed.push({ destination, type: 'bind', source, options })
  }
  const shm = input.namespaces?.shm
  if (typeof shm === 'string' && !covered.has('/dev/shm')) {
    placed.push({ destination: '/dev/shm', type: 'bind', source: shm, options: ['rbind', 'rprivate'] })
  }
  // A mount below another must come after it; otherwise the order given stands.
  return [...system, ...placed.toSorted((a, b) => depth(a.destination) - depth(b.destination))]
}

function systemMounts(input: OciSpecInput, privileged: boolean): OciMount[] {
  const ro = privileged ? [] : ['ro']
  const mounts: OciMount[] = [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', ...ro] },
    {
      destination: '/sys/fs/cgroup',
      type: 'cgroup',
      source: 'cgroup',
      options: [...ro, 'nosuid', 'noexec', 'nodev'],
    },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
  ]
  if (input.namespaces?.shm === undefined) {
    mounts.push({
      destination: '/dev/shm',
      type: 'tmpfs',
      source: 'shm',
      options: ['nosuid', 'noexec', 'nodev', 'mode=1777', `size=${input.shmSizeBytes || DEFAULT_SHM_BYTES}`],
    })
  }
  return mounts
}

function userMount(mount: SpecMount): OciMount {
  if (mount.kind === 'tmpfs') {
    return { destination: mount.target, type: 'tmpfs', source: 'tmpfs', options: tmpfsOptions(mount) }
  }
  if (mount.options) {
    return { destination: mount.target, type: 'bind', source: mount.source, options: mount.options }
  }
  const recursive = mount.recursive ?? 'enabled'
  const readOnly = !mount.readOnly ? [] : recursive === 'readonly' ? ['ro', 'rro'] : ['ro']
  return {
    destination: mount.target,
    type: 'bind',
    source: mount.source,
    options: [
      recursive === 'disabled' ? 'bind' : 'rbind',
      ...readOnly,
      ...(mount.propagation === undefined ? [] : [mount.propagation]),
    ],
  }
}

/** Docker's options of a tmpfs (`noexec,nosuid,nodev,rprivate`), overridden one by one by those that were given. */
export function tmpfsOptions(mount: Extract<SpecMount, { kind: 'tmpfs' }>): readonly string[] {
  const given = [...(mount.options ?? []).flatMap((option) => option.split(','))].filter((option) => option !== '')
  if (mount.readOnly) given.push('ro')
  if (mount.sizeBytes) given.push(`size=${mount.sizeBytes}`)
  if (mount.mode !== undefined) given.push(`mode=${mount.mode.toString(8)}`)
  const chosen = new Map<string, string>()
  for (const option of ['noexec', 'nosuid', 'nodev', 'rprivate', ...given]) {
    const key = tmpfsOptionKey(option)
    if (key === undefined) throw new TcomposeError('INVALID', `invalid tmpfs option ${JSON.stringify(option)}`)
    // A later one replaces an earlier one in its kind and goes to the end, as dockerd merges them.
    chosen.delete(key)
    if (option !== 'defaults') chosen.set(key, option)
  }
  return [...chosen.values()]
}

const TMPFS_DATA: ReadonlySet<string> = new Set(['mode', 'size', 'nr_inodes', 'nr_blocks', 'mpol', 'uid', 'gid'])

const TMPFS_FLAGS: Readonly<Record<string, string>> = {
  defaults: 'defaults',
  ro: 'ro',
  rw: 'ro',
  suid: 'suid',
  nosuid: 'suid',
  dev: 'dev',
  nodev: 'dev',
  exec: 'exec',
  noexec: 'exec',
  sync: 'sync',
  async: 'sync',
  dirsync: 'dirsync',
  remount: 'remount',
  mand: 'mand',
  nomand: 'mand',
  atime: 'atime',
  noatime: 'atime',
  diratime: 'diratime',
  nodiratime: 'diratime',
  relatime: 'relatime',
  norelatime: 'relatime',
  strictatime: 'strictatime',
  nostrictatime: 'strictatime',
  private: 'propagation',
  rprivate: 'propagation',
  slave: 'propagation',
  rslave: 'propagation',
  shared: 'propagation',
  rshared: 'propagation',
  unbindable: 'propagation',
  runbindable: 'propagation',
  bind: 'bind',
  rbind: 'bind',
}

function tmpfsOptionKey(option: string): string | undefined {
  const equals = option.indexOf('=')
  if (equals < 0) return TMPFS_FLAGS[option]
  const key = option.slice(0, equals)
  return TMPFS_DATA.has(key) ? `${key}=` : undefined
}

/** A slave or shared bind needs the root to be one too; else the kernel would cut it off. */
export function rootfsPropagationOf(mounts: readonly SpecMount[]): string | undefined {
  const asked = new Set(
    mounts.flatMap((mount) => (mount.kind === 'bind' && mount.propagation ? [mount.propagation] : [])),
  )
  if (asked.has('shared') || asked.has('rshared')) return 'shared'
  return asked.has('slave') || asked.has('rslave') ? 'rslave' : undefined
}

function depth(path: string): number {
  return path.split('/').filter((part) => part !== '').length
}
