import { TcomposeError } from '../base/errors.ts'

/** Every capability by its number (linux/capability.h). */
export const CAPABILITIES: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_LINUX_IMMUTABLE',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_BROADCAST',
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
  'CAP_IPC_LOCK',
  'CAP_IPC_OWNER',
  'CAP_SYS_MODULE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_CHROOT',
  'CAP_SYS_PTRACE',
  'CAP_SYS_PACCT',
  'CAP_SYS_ADMIN',
  'CAP_SYS_BOOT',
  'CAP_SYS_NICE',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME',
  'CAP_SYS_TTY_CONFIG',
  'CAP_MKNOD',
  'CAP_LEASE',
  'CAP_AUDIT_WRITE',
  'CAP_AUDIT_CONTROL',
  'CAP_SETFCAP',
  'CAP_MAC_OVERRIDE',
  'CAP_MAC_ADMIN',
  'CAP_SYSLOG',
  'CAP_WAKE_ALARM',
  'CAP_BLOCK_SUSPEND',
  'CAP_AUDIT_READ',
  'CAP_PERFMON',
  'CAP_BPF',
  'CAP_CHECKPOINT_RESTORE',
]

/** What a container has unless told otherwise, in the order dockerd writes it. */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
]

export interface CapabilityRequest {
  readonly privileged?: boolean
  /** With or without `CAP_`, any case; `ALL`. */
  readonly add?: readonly string[]
  readonly drop?: readonly string[]
  /** What this process may hand on. */
  readonly available: readonly string[]
}

/**
 * The capabilities of a container. Those of `ALL` and privileged are cut down to what is available here; one that was
 * asked for by name and is not is an error.
 * @throws TcomposeError INVALID for an unknown name, UNAVAILABLE for one this process may not give
 */
export function chooseCapabilities(request: CapabilityRequest): readonly string[] {
  const { available } = request
  const add = normalize(request.add ?? [], 'CapAdd')
  const drop = normalize(request.drop ?? [], 'CapDrop')
  if (request.privileged) return CAPABILITIES.filter((name) => available.includes(name))
  const base = drop.includes('ALL')
    ? []
    : add.includes('ALL')
      ? CAPABILITIES.filter((name) => !drop.includes(name))
      : DEFAULT_CAPABILITIES.filter((name) => !drop.includes(name))
  const named = add.filter((name) => name !== 'ALL' && !base.includes(name))
  for (const name of named) {
    if (available.includes(name)) continue
    throw new TcomposeError('UNAVAILABLE', `capability ${name} cannot be given: this process does not have it itself`, {
      hint: `drop it from cap_add, or run tcompose with ${name} in its bounding set`,
    })
  }
  // `cap_add: [ALL]` beside `cap_drop: [ALL]` means all of them, as dockerd takes it.
  const all = drop.includes('ALL') && add.includes('ALL') ? CAPABILITIES : base
  return [...all.filter((name) => available.includes(name)), ...named.filter((name) => !all.includes(name))]
}

function normalize(names: readonly string[], field: string): readonly string[] {
  return names.map((given) => {
    const upper = given.toUpperCase()
    if (upper === 'ALL') return upper
    const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`
    if (CAPABILITIES.includes(name)) return name
    throw new TcomposeError('INVALID', `invalid ${field}: unknown capability: "${given}"`)
  })
}

/** Names of the bits set in a hexadecimal mask of /proc/PID/status; unknown bits are left out. */
export function capabilitiesOfMask(mask: string): readonly string[] {
  const bits = BigInt(`0x${mask.trim()}`)
  return CAPABILITIES.filter((_, bit) => ((bits >> BigInt(bit)) & 1n) === 1n)
}
