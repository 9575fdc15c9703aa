import { TcomposeError } from '../base/errors.ts'
import type { OciSeccomp, OciSeccompRule } from './oci-spec-types.ts'
import {
  ALLOWED_BY_CAPABILITY,
  ALLOWED_PERSONALITIES,
  ALWAYS_ALLOWED,
  CLONE_NAMESPACE_FLAGS,
  SECCOMP_ARCHES,
} from './seccomp-profile.ts'

const ALLOW = 'SCMP_ACT_ALLOW'

/** Docker's default profile, resolved for a processor (`process.arch`) and the container's capabilities. */
export function defaultSeccomp(arch: string, capabilities: readonly string[]): OciSeccomp {
  const { architectures, extra, cloneFlagsIndex } = archOf(arch)
  const syscalls: OciSeccompRule[] = [
    { names: ALWAYS_ALLOWED, action: ALLOW },
    { names: ['ptrace'], action: ALLOW },
    ...ALLOWED_PERSONALITIES.map((value) => ({
      names: ['personality'],
      action: ALLOW,
      args: [{ index: 0, value, op: 'SCMP_CMP_EQ' }],
    })),
    ...extra.map((names) => ({ names, action: ALLOW })),
  ]
  const added = ALLOWED_BY_CAPABILITY.filter(([capability]) => capabilities.includes(capability))
  const before = added.filter(([capability]) => PRECEDES_CLONE.includes(capability))
  const after = added.filter(([capability]) => !PRECEDES_CLONE.includes(capability))
  syscalls.push(...before.map(([, names]) => ({ names, action: ALLOW })))
  if (!capabilities.includes('CAP_SYS_ADMIN')) {
    syscalls.push(
      {
        names: ['clone'],
        action: ALLOW,
        args: [{ index: cloneFlagsIndex, value: CLONE_NAMESPACE_FLAGS, op: 'SCMP_CMP_MASKED_EQ' }],
      },
      // ENOSYS: its flags lie in memory, where the filter cannot see them, so that libc falls back to clone.
      { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 },
    )
  }
  syscalls.push(...after.map(([, names]) => ({ names, action: ALLOW })))
  return { defaultAction: 'SCMP_ACT_ERRNO', architectures, syscalls }
}

const PRECEDES_CLONE: readonly string[] = ['CAP_DAC_READ_SEARCH', 'CAP_SYS_ADMIN']

/**
 * Resolves a profile in Docker's format (`archMap`, `includes`, `excludes`) or runc's own.
 * @throws TcomposeError INVALID for text that is no such profile
 */
export function resolveSeccomp(text: string, arch: string, capabilities: readonly string[]): OciSeccomp {
  const bad = (why: string): TcomposeError => new TcomposeError('INVALID', `decoding seccomp profile failed: ${why}`)
  let profile: SeccompProfile
  try {
    profile = JSON.parse(text)
  } catch (cause) {
    throw new TcomposeError('INVALID', 'decoding seccomp profile failed: it is not JSON', { cause })
  }
  if (typeof profile !== 'object' || profile === null || typeof profile.defaultAction !== 'string') {
    throw bad('it has no defaultAction')
  }
  if (profile.architectures?.length && profile.archMap?.length) {
    throw bad("'architectures' and 'archMap' cannot both be given")
  }
  const { goArch, architectures: native } = archOf(arch)
  const mapped = profile.archMap?.find((entry) => entry.architecture === native[0])
  const architectures = mapped ? [mapped.architecture, ...(mapped.subArchitectures ?? [])] : profile.architectures
  const applies = (rule: ProfileRule): boolean => {
    const { includes = {}, excludes = {} } = rule
    if (excludes.arches?.includes(goArch)) return false
    if (excludes.caps?.some((name) => capabilities.includes(name))) return false
    if (includes.arches?.length && !includes.arches.includes(goArch)) return false
    return (includes.caps ?? []).every((name) => capabilities.includes(name))
  }
  const syscalls = (profile.syscalls ?? []).filter(applies).map((rule): OciSeccompRule => {
    const names = rule.names ?? (rule.name === undefined ? [] : [rule.name])
    if (names.length === 0) throw bad('a rule names no system call')
    if (typeof rule.action !== 'string') throw bad(`the rule for ${names[0]} has no action`)
    return {
      names,
      action: rule.action,
      ...(typeof rule.errnoRet === 'number' ? { errnoRet: rule.errnoRet } : {}),
      ...(rule.args?.length ? { args: rule.args } : {}),
    }
  })
  return {
    defaultAction: profile.defaultAction,
    ...(typeof profile.defaultErrnoRet === 'number' ? { defaultErrnoRet: profile.defaultErrnoRet } : {}),
    ...(architectures?.length ? { architectures } : {}),
    ...(profile.flags?.length ? { flags: profile.flags } : {}),
    syscalls,
  }
}

interface SeccompProfile {
  readonly defaultAction?: string
  readonly defaultErrnoRet?: number
  readonly architectures?: readonly string[]
  readonly archMap?: readonly {
    readonly architecture: string
    readonly subArchitectures?: readonly string[] | null
  }[]
  readonly flags?: readonly string[]
  readonly syscalls?: readonly ProfileRule[]
}

interface ProfileRule {
  readonly name?: string
  readonly names?: readonly string[]
  readonly action?: string
  readonly errnoRet?: number
  readonly args?: NonNullable<OciSeccompRule['args']>
  /** `minKernel` is not looked at: no kernel that runs this is older than what profiles ask for. */
  readonly includes?: { readonly caps?: readonly string[]; readonly arches?: readonly string[] }
  readonly excludes?: { readonly caps?: readonly string[]; readonly arches?: readonly string[] }
}

function archOf(arch: string) {
  const found = SECCOMP_ARCHES[arch]
  if (!found) {
    throw new TcomposeError('UNSUPPORTED', `no seccomp profile for processor ${arch}`, {
      hint: 'set security_opt: [seccomp=unconfined]',
    })
  }
  return found
}
