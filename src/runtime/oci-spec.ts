import { TcomposeError } from '../base/errors.ts'
import { chooseCapabilities } from './capabilities.ts'
import type { HostFacts, OciSpecInput, ResolvedNamespace, SecuritySpec } from './oci-spec-input.ts'
import { mountsOf, rootfsPropagationOf } from './oci-spec-mounts.ts'
import { resourcesOf } from './oci-spec-resources.ts'
import type {
  OciCapabilities,
  OciLinux,
  OciNamespaceType,
  OciRlimit,
  OciSeccomp,
  OciSpec,
  Uint64,
} from './oci-spec-types.ts'
import { defaultSeccomp, resolveSeccomp } from './seccomp.ts'

export const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Where the reaper is shown in a container that asked for one. */
export const INIT_TARGET = '/sbin/docker-init'

const MASKED_PATHS: readonly string[] = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
]

const READONLY_PATHS: readonly string[] = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']

/** Sysctls of a private network namespace, so that a process without root may bind :80 and ping, as Docker sets them. */
export const NETWORK_SYSCTLS: Readonly<Record<string, string>> = {
  'net.ipv4.ip_unprivileged_port_start': '0',
  'net.ipv4.ping_group_range': '0 2147483647',
}

/**
 * The OCI spec of a container, equal to what dockerd generates for the same request (but for the network: see
 * `NetworkNamespaceInput`). Pure, but that it looks up the numbers of block devices named in `resources`.
 * @throws TcomposeError INVALID, UNSUPPORTED or UNAVAILABLE naming the setting
 */
export function buildOciSpec(input: OciSpecInput): OciSpec {
  const { host } = input
  const security = readSecurity(input.security ?? {}, host)
  const bounding = chooseCapabilities({
    privileged: security.privileged,
    add: input.security?.capAdd ?? [],
    drop: input.security?.capDrop ?? [],
    available: host.capabilities,
  })
  const rlimits = (input.ulimits ?? []).map((limit) => rlimitOf(limit, host))
  const init = input.initPath === undefined ? [] : [INIT_TARGET, '--']
  return {
    ociVersion: '1.0.2-dev',
    process: {
      ...(input.tty ? { terminal: true } : {}),
      user: input.user,
      args: [...init, ...input.args],
      env: input.env,
      cwd: input.cwd,
      capabilities: capabilitiesFor(input.user.uid, bounding),
      ...(rlimits.length > 0 ? { rlimits } : {}),
      ...(security.noNewPrivileges ? { noNewPrivileges: true } : {}),
      ...(security.apparmor === undefined ? {} : { apparmorProfile: security.apparmor }),
      oomScoreAdj: Math.max(input.resources?.oomScoreAdj ?? 0, host.oomScoreAdjFloor),
    },
    root: { path: input.rootPath, ...(input.readOnlyRootfs ? { readonly: true } : {}) },
    ...(input.hostname === undefined ? {} : { hostname: input.hostname }),
    mounts: mountsOf(input, security.privileged),
    ...(input.annotations && Object.keys(input.annotations).length > 0 ? { annotations: input.annotations } : {}),
    ...(input.hooks && Object.keys(input.hooks).length > 0 ? { hooks: input.hooks } : {}),
    linux: linuxOf(input, security, bounding),
  }
}

/** Root gets all of the bounding set, anybody else none that are effective: as dockerd since 20.10.14. */
export function capabilitiesFor(uid: number, bounding: readonly string[]): OciCapabilities {
  return uid === 0 ? { bounding, effective: bounding, permitted: bounding } : { bounding }
}

function linuxOf(input: OciSpecInput, security: ReadSecurity, capabilities: readonly string[]): OciLinux {
  const { host } = input
  const seccomp = seccompOf(security, host, capabilities)
  const sysctl = sysctlsOf(input)
  const devices = security.privileged
    ? [
        ...host.devices,
        ...(input.devices?.nodes ?? []).filter((node) => !host.devices.some((d) => d.path === node.path)),
      ]
    : (input.devices?.nodes ?? [])
  const propagation = rootfsPropagationOf(input.mounts ?? [])
  const masked = input.security?.maskedPaths ?? (security.unconfinedPaths ? [] : MASKED_PATHS)
  const readonlyPaths = input.security?.readonlyPaths ?? (security.unconfinedPaths ? [] : READONLY_PATHS)
  return {
    ...(Object.keys(sysctl).length > 0 ? { sysctl } : {}),
    resources: resourcesOf(input, security.privileged),
    cgroupsPath: cgroupsPathOf(input),
    namespaces: namespacesOf(input),
    ...(devices.length > 0 ? { devices } : {}),
    ...(seccomp ? { seccomp } : {}),
    ...(propagation === undefined ? {} : { rootfsPropagation: propagation }),
    ...(masked.length > 0 ? { maskedPaths: masked } : {}),
    ...(readonlyPaths.length > 0 ? { readonlyPaths } : {}),
  }
}

/** `/<parent>/<id>`; the parent may be nested (`/a/b`), and never climbs. */
export function cgroupsPathOf(input: Pick<OciSpecInput, 'id' | 'instance' | 'resources'>): string {
  const parent = (input.resources?.cgroupParent || input.instance).replace(/^\/+|\/+$/g, '')
  if (parent.split('/').some((part) => part === '..' || part === '.')) {
    throw new TcomposeError('INVALID', `invalid cgroup_parent ${JSON.stringify(input.resources?.cgroupParent)}`)
  }
  return parent === '' ? `/${input.id}` : `/${parent}/${input.id}`
}

function namespacesOf(input: OciSpecInput): OciLinux['namespaces'] {
  const { pid, ipc, uts, cgroup } = input.namespaces ?? {}
  const list: { type: OciNamespaceType; path?: string }[] = [{ type: 'mount' }]
  const add = (type: OciNamespaceType, namespace: ResolvedNamespace): void => {
    if (namespace.kind === 'path') list.push({ type, path: namespace.path })
    else if (namespace.kind === 'private') list.push({ type })
  }
  if (input.network.kind === 'new') list.push({ type: 'network' })
  if (input.network.kind === 'path') list.push({ type: 'network', path: input.network.path })
  add('uts', uts ?? { kind: 'private' })
  add('pid', pid ?? { kind: 'private' })
  add('ipc', ipc ?? { kind: 'private' })
  add('cgroup', cgroup ?? { kind: input.host.cgroupVersion === 2 ? 'private' : 'host' })
  return list
}

function sysctlsOf(input: OciSpecInput): Record<string, string> {
  const { network, sysctls = {}, domainname } = input
  const result: Record<string, string> = {}
  if (network.kind === 'new') Object.assign(result, NETWORK_SYSCTLS)
  if (domainname && input.namespaces?.uts?.kind !== 'host') result['kernel.domainname'] = domainname
  for (const [key, value] of Object.entries(sysctls)) {
    if (key.startsWith('net.') && network.kind === 'host') {
      throw new TcomposeError('INVALID', `sysctl '${key}' not allowed in host network namespace`)
    }
    // The shim sets those of a namespace it made itself: runc takes the namespace it starts in for the host's.
    if (key.startsWith('net.') && network.kind === 'own') continue
    result[key] = value
  }
  return result
}

/** The sysctls the shim must write in a network namespace of its own. */
export function networkSysctls(requested: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  return {
    ...NETWORK_SYSCTLS,
    ...Object.fromEntries(Object.entries(requested).filter(([key]) => key.startsWith('net.'))),
  }
}

function rlimitOf(limit: { name: string; soft: number; hard: number }, host: HostFacts): OciRlimit {
  const { name } = limit
  if (!RLIMITS.has(name)) throw new TcomposeError('INVALID', `invalid ulimit type: ${name}`)
  const order = (given: number): number => (given < 0 ? Number.POSITIVE_INFINITY : given)
  const value = (given: number): Uint64 => (given < 0 ? RLIM_INFINITY : given)
  if (order(limit.soft) > order(limit.hard)) {
    throw new TcomposeError(
      'INVALID',
      `ulimit soft limit must be less than or equal to hard limit: ${limit.soft} > ${limit.hard}`,
    )
  }
  const own = host.hardLimits[name] ?? Number.POSITIVE_INFINITY
  if (order(limit.hard) > own && !host.mayRaiseLimits) {
    throw new TcomposeError(
      'UNAVAILABLE',
      `ulimit ${name}: ${limit.hard < 0 ? 'unlimited' : limit.hard} is above this process's own limit of ${own}`,
      {
        hint: `raise it before running tcompose (ulimit -H), or ask for at most ${own}`,
      },
    )
  }
  return { type: `RLIMIT_${name.toUpperCase()}`, hard: value(limit.hard), soft: value(limit.soft) }
}

/** 2^64 - 1, which no JavaScript number is: JSON.stringify writes these digits as they stand. */
const RLIM_INFINITY: Uint64 = (JSON as unknown as { rawJSON(text: string): Uint64 }).rawJSON('18446744073709551615')

const RLIMITS: ReadonlySet<string> = new Set(
  'as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(' '),
)

interface ReadSecurity {
  readonly privileged: boolean
  readonly noNewPrivileges: boolean
  readonly unconfinedPaths: boolean
  /** `unconfined`, a JSON profile, or undefined for the default. */
  readonly seccomp: string | undefined
  readonly apparmor: string | undefined
}

/** Takes `security_opt` apart; both `key=value` and the older `key:value` are read. */
function readSecurity(security: SecuritySpec, host: HostFacts): ReadSecurity {
  const privileged = security.privileged ?? false
  let noNewPrivileges = false
  let unconfinedPaths = privileged
  let seccomp: string | undefined
  let apparmor: string | undefined
  for (const option of security.options ?? []) {
    const [, key = '', value] = /^([^=:]+)(?:[=:]([\s\S]*))?$/.exec(option) ?? []
    if (key === 'no-new-privileges') {
      if (value !== undefined && value !== 'true' && value !== 'false') throw invalidOption(option)
      noNewPrivileges = value !== 'false'
    } else if (value === undefined) {
      // `disable` alone was the first spelling of label=disable.
      if (key !== 'disable') throw invalidOption(option)
    } else if (key === 'seccomp') {
      seccomp = value === 'builtin' ? undefined : value
    } else if (key === 'apparmor') {
      apparmor = value
    } else if (key === 'systempaths') {
      if (value !== 'unconfined') throw invalidOption(option)
      unconfinedPaths = true
    } else if (key === 'label') {
      if (host.selinux && value !== 'disable')
        throw new TcomposeError('UNSUPPORTED', `security option ${option} is not supported`)
    } else {
      throw invalidOption(option)
    }
  }
  if (apparmor !== undefined && apparmor !== 'unconfined' && !host.apparmor) {
    throw new TcomposeError('UNAVAILABLE', `apparmor profile ${apparmor}: this kernel runs without AppArmor`)
  }
  return {
    privileged,
    noNewPrivileges,
    unconfinedPaths,
    seccomp: seccomp ?? (privileged ? 'unconfined' : undefined),
    apparmor: host.apparmor ? (apparmor ?? (privileged ? 'unconfined' : undefined)) : undefined,
  }
}

function invalidOption(option: string): TcomposeError {
  return new TcomposeError('INVALID', `invalid --security-opt: ${JSON.stringify(option)}`)
}

function seccompOf(security: ReadSecurity, host: HostFacts, capabilities: readonly string[]): OciSeccomp | undefined {
  if (security.seccomp === 'unconfined') return undefined
  if (security.seccomp === undefined) return defaultSeccomp(host.arch, capabilities)
  return resolveSeccomp(security.seccomp, host.arch, capabilities)
}
