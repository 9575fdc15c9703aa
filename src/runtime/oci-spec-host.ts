import { existsSync, readFileSync, statfsSync } from 'node:fs'
import { capabilitiesOfMask } from './capabilities.ts'
import { listDevices } from './oci-spec-devices.ts'
import type { HostFacts } from './oci-spec-input.ts'
import type { OciDevice } from './oci-spec-types.ts'

const CGROUP2_MAGIC = 0x63677270

let facts: HostFacts | undefined

/** Reads what the host can do and this process may hand on; once per process. */
export function readHostFacts(): HostFacts {
  facts ??= gatherFacts()
  return facts
}

function gatherFacts(): HostFacts {
  const status = readFileSync('/proc/self/status', 'latin1')
  const mask = (name: string): string => new RegExp(`^${name}:\\s*([0-9a-f]+)`, 'm').exec(status)?.[1] ?? '0'
  const effective = capabilitiesOfMask(mask('CapEff'))
  const cgroupVersion = statfsSync('/sys/fs/cgroup').type === CGROUP2_MAGIC ? 2 : 1
  const mayRaiseLimits = effective.includes('CAP_SYS_RESOURCE')
  let devices: readonly OciDevice[] | undefined
  return {
    arch: process.arch,
    cgroupVersion,
    swapLimit: cgroupVersion === 2 || existsSync('/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes'),
    capabilities: capabilitiesOfMask(mask('CapBnd')),
    oomScoreAdjFloor: mayRaiseLimits ? -1000 : Number(readFileSync('/proc/self/oom_score_adj', 'latin1')),
    apparmor: readOptional('/sys/module/apparmor/parameters/enabled').startsWith('Y'),
    selinux: existsSync('/sys/fs/selinux/enforce'),
    mayRaiseLimits,
    hardLimits: readHardLimits(readFileSync('/proc/self/limits', 'latin1')),
    get devices() {
      devices ??= listDevices('/dev')
      return devices
    },
  }
}

const LIMIT_NAMES: Readonly<Record<string, string>> = {
  'Max cpu time': 'cpu',
  'Max file size': 'fsize',
  'Max data size': 'data',
  'Max stack size': 'stack',
  'Max core file size': 'core',
  'Max resident set': 'rss',
  'Max processes': 'nproc',
  'Max open files': 'nofile',
  'Max locked memory': 'memlock',
  'Max address space': 'as',
  'Max file locks': 'locks',
  'Max pending signals': 'sigpending',
  'Max msgqueue size': 'msgqueue',
  'Max nice priority': 'nice',
  'Max realtime priority': 'rtprio',
  'Max realtime timeout': 'rttime',
}

/** Hard limits from the text of /proc/PID/limits. */
export function readHardLimits(text: string): Readonly<Record<string, number>> {
  const limits: Record<string, number> = {}
  for (const line of text.split('\n')) {
    const [, title = '', , hard] = /^(Max [a-z ]+?)\s{2,}(\S+)\s+(\S+)/.exec(line) ?? []
    const name = LIMIT_NAMES[title]
    if (name) limits[name] = hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard)
  }
  return limits
}

function readOptional(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
