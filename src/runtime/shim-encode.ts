import { CAPABILITIES } from './capabilities.ts'
import type { OciSpec, Uint64 } from './oci-spec-types.ts'
import { encodeStrings } from './shim-frames.ts'
import type { ExecRequest, LaunchRequest, MountRequest, ShimInterface } from './shim-types.ts'

type Pair = readonly [key: string, value: string]

/** The payload of LAUNCH: shim/request.c. */
export function encodeLaunch(request: LaunchRequest, runc: string): Buffer {
  const { overlay, log, spec } = request
  const pairs: Pair[] = [
    ['id', request.id],
    ['runc', runc],
    ['runc-root', request.runcRoot],
    ['cgroup', spec.linux.cgroupsPath],
    ['own-network', flag(request.netns.kind === 'own')],
    ['tty', flag(request.tty)],
    ['open-stdin', flag(request.openStdin)],
    ['dns', flag(request.dns && request.netns.kind === 'own')],
  ]
  if ('rootfs' in overlay) pairs.push(['rootfs', overlay.rootfs])
  else {
    pairs.push(['upper', overlay.upper], ['work', overlay.work])
    for (const lower of overlay.lowers) pairs.push(['lower', lower])
  }
  for (const [key, value] of Object.entries(request.sysctls ?? {})) pairs.push(['sysctl', `${key}=${value}`])
  for (const port of request.ports) {
    pairs.push(['port', [port.protocol, port.hostIp, port.hostPort, port.containerPort].join('|')])
  }
  if (log.driver === 'json-file') {
    pairs.push(
      ['log', log.path],
      ['log-size', String(log.maxSizeBytes)],
      ['log-files', String(log.maxFiles)],
      ['log-compress', flag(log.compress)],
    )
    if (log.attrs && Object.keys(log.attrs).length > 0) pairs.push(['log-attrs', JSON.stringify(log.attrs)])
  }
  pairs.push(...seccompOf(spec))
  for (const image of request.images ?? []) {
    pairs.push(['mount', image.path], ...image.lowers.map((lower): Pair => ['mount-lower', lower]))
  }
  for (const mount of request.mounts ?? []) pairs.push(...mountPairs(mount))
  return encodePairs(pairs)
}

function mountPairs(mount: MountRequest): readonly Pair[] {
  return [
    ['mount', mount.path],
    ['mount-type', mount.type],
    ['mount-device', mount.device],
    ['mount-options', mount.options],
  ]
}

const SPEC_ALLOW = 4

/** An exec gets the filter as it was read back from the kernel; a listener can only be had from runc. */
function seccompOf(spec: OciSpec): readonly Pair[] {
  const { seccomp } = spec.linux
  if (!seccomp) return []
  const notifies =
    seccomp.listenerPath !== undefined ||
    [seccomp.defaultAction, ...seccomp.syscalls.map(({ action }) => action)].includes('SCMP_ACT_NOTIFY')
  return [
    ['seccomp', '1'],
    ['seccomp-flags', String(seccomp.flags?.includes('SECCOMP_FILTER_FLAG_SPEC_ALLOW') ? SPEC_ALLOW : 0)],
    ['runc-exec', flag(notifies)],
  ]
}

/** The payload of START and CONFIGURE: shim/net.c. */
export function encodeInterfaces(interfaces: readonly ShimInterface[]): Buffer {
  return encodeStrings(
    interfaces.flatMap((each) => [
      each.temporaryName,
      each.name,
      each.macAddress,
      String(each.mtu),
      each.addresses.join(','),
      each.gateways.join(','),
    ]),
  )
}

/** The payload of EXEC: shim/exec.c. */
export function encodeExec(request: ExecRequest): Buffer {
  const { process, size } = request
  const { user, capabilities } = process
  const pairs: Pair[] = [
    ...process.args.map((arg): Pair => ['arg', arg]),
    ...process.env.map((entry): Pair => ['env', entry]),
    ['cwd', process.cwd],
    ['uid', String(user.uid)],
    ['gid', String(user.gid)],
    ...(user.additionalGids ?? []).map((gid): Pair => ['group', String(gid)]),
    ['bounding', capabilityMask(capabilities.bounding)],
    ['effective', capabilityMask(capabilities.effective)],
    ['permitted', capabilityMask(capabilities.permitted)],
    ['inheritable', capabilityMask(capabilities.inheritable)],
    ['ambient', capabilityMask(capabilities.ambient)],
    ['no-new-privileges', flag(process.noNewPrivileges ?? false)],
    ['tty', flag(process.terminal ?? false)],
    ['stdin', flag(request.stdin)],
    ['json', JSON.stringify(process)],
    // A label is for runc, which knows how to set it.
    ['runc', flag(request.via === 'runc' || process.selinuxLabel !== undefined)],
  ]
  if (user.umask !== undefined) pairs.push(['umask', String(user.umask)])
  if (size) pairs.push(['rows', String(size.rows)], ['columns', String(size.columns)])
  if (process.apparmorProfile !== undefined) pairs.push(['apparmor', process.apparmorProfile])
  if (process.oomScoreAdj !== undefined) pairs.push(['oom-score', String(process.oomScoreAdj)])
  for (const { type, soft, hard } of process.rlimits ?? []) {
    pairs.push(['rlimit', `${resourceNumber(type)}:${digits(soft)}:${digits(hard)}`])
  }
  return encodePairs(pairs)
}

/** By number, as in linux/capability.h. */
export function capabilityMask(names: readonly string[] | undefined): string {
  let mask = 0n
  for (const name of names ?? []) {
    const number = CAPABILITIES.indexOf(name)
    if (number < 0) throw new RangeError(`${name} is no capability`)
    mask |= 1n << BigInt(number)
  }
  return String(mask)
}

/** asm-generic/resource.h, in the order of its numbers. */
const RESOURCES = 'CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME'
const RESOURCE_NAMES = RESOURCES.split(' ').map((name) => `RLIMIT_${name}`)

function resourceNumber(type: string): number {
  const number = RESOURCE_NAMES.indexOf(type)
  if (number < 0) throw new RangeError(`${type} is no resource`)
  return number
}

function digits(value: Uint64): string {
  return typeof value === 'number' ? String(value) : value.rawJSON
}

function flag(value: boolean): string {
  return value ? '1' : '0'
}

function encodePairs(pairs: readonly Pair[]): Buffer {
  return encodeStrings(pairs.flat())
}
