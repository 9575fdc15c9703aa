import { accessSync, constants, existsSync, readFileSync, statfsSync } from 'node:fs'
import { isTcomposeError, messageOf } from '../../base/errors.ts'
import { formatSize } from '../../base/size.ts'
import { readCgroupMode } from '../../platform/cgroup-mode.ts'
import { run } from '../../platform/exec.ts'
import { nativePath } from '../../runtime/native.ts'
import { occupied } from '../networks/create-network.ts'
import { countFree, describePools, parsePools } from '../networks/pools.ts'
import type { EnginePaths } from '../state/paths.ts'
import { checkOverlay } from './check-overlay.ts'

export interface HostCheck {
  readonly id: string
  readonly title: string
  readonly status: 'ok' | 'warn' | 'fail'
  /** What was seen. */
  readonly detail: string
  /** A command that mends it, or what to do where no command can. */
  readonly fix?: string
}

type Outcome = Omit<HostCheck, 'id' | 'title'>
const ok = (detail: string): Outcome => ({ status: 'ok', detail })

interface Check {
  readonly id: string
  readonly title: string
  readonly run: (paths: EnginePaths) => Outcome | Promise<Outcome>
}

/** Looks at everything the engine needs of the host; each failure names the command that mends it. Changes nothing. */
export async function checkHost(paths: EnginePaths): Promise<readonly HostCheck[]> {
  return await Promise.all(
    CHECKS.map(async ({ id, title, run: look }) => {
      try {
        return { id, title, ...(await look(paths)) }
      } catch (error) {
        return {
          id,
          title,
          status: 'fail' as const,
          detail: messageOf(error),
          fix: isTcomposeError(error) ? (error.hint ?? 'see the message') : 'see the message',
        }
      }
    }),
  )
}

const CHECKS: readonly Check[] = [
  {
    id: 'root',
    title: 'rights',
    run: () =>
      process.getuid?.() === 0
        ? ok('root')
        : { status: 'fail', detail: `uid ${process.getuid?.()}`, fix: 'run tcompose as root (sudo tcompose …)' },
  },
  {
    id: 'native',
    title: 'own programs',
    run: () => ok(`${nativePath('tcompose-shim')}, ${nativePath('tcompose-fs')}`),
  },
  { id: 'runc', title: 'runc', run: () => program('runc', ['--version'], 'runc', /runc version (\S+)/) },
  { id: 'nft', title: 'nftables', run: () => program('nft', ['--version'], 'nftables', /v(\S+)/) },
  { id: 'ip', title: 'iproute2', run: () => program('ip', ['-V'], 'iproute2', /iproute2-(\S+?),/) },
  { id: 'state', title: 'state directory', run: checkState },
  { id: 'overlay', title: 'overlay file system', run: checkOverlay },
  { id: 'cgroup', title: 'control groups', run: checkCgroups },
  { id: 'namespaces', title: 'namespaces', run: checkNamespaces },
  { id: 'bridge', title: 'bridges and veth', run: checkLinks },
  { id: 'rules', title: 'nftables in the kernel', run: checkRules },
  { id: 'forwarding', title: 'IP forwarding', run: checkForwarding },
  { id: 'pools', title: 'address pools', run: checkPools },
  { id: 'foreign', title: "another engine's firewall", run: checkForeign },
  { id: 'capabilities', title: 'capabilities', run: checkCapabilities },
  { id: 'disk', title: 'free disk', run: checkDisk },
  { id: 'inotify', title: 'file watches', run: checkInotify },
]

async function program(name: string, args: readonly string[], deb: string, version: RegExp): Promise<Outcome> {
  try {
    const { stdout, stderr } = await run(name, args)
    return ok(version.exec(stdout + stderr)?.[1] ?? 'present')
  } catch (error) {
    return { status: 'fail', detail: messageOf(error), fix: `apt-get install -y ${deb}` }
  }
}

function checkState(paths: EnginePaths): Outcome {
  for (const path of [paths.root, paths.run]) {
    let existing = path
    while (!existsSync(existing)) existing = existing.slice(0, existing.lastIndexOf('/')) || '/'
    try {
      accessSync(existing, constants.W_OK)
    } catch {
      return {
        status: 'fail',
        detail: `${existing} cannot be written to`,
        fix: 'set TCOMPOSE_ROOT and TCOMPOSE_RUN to directories of yours',
      }
    }
  }
  return ok(`${paths.root}, ${paths.run}`)
}

function checkCgroups(): Outcome {
  const { version, systemd, controllers } = readCgroupMode()
  if (version === 'none') {
    return { status: 'fail', detail: 'not mounted', fix: 'mount -t cgroup2 none /sys/fs/cgroup' }
  }
  // In v2 devices are a BPF program and the freezer is in every group.
  const needed = version === 'v2' ? ['cpu', 'memory', 'pids'] : ['cpu', 'memory', 'pids', 'devices', 'freezer']
  const missing = needed.filter((name) => !controllers.includes(name))
  const mode = `${version}${systemd ? ', systemd' : ''}`
  if (missing.length === 0) return ok(mode)
  const detail = `${mode}, without ${missing.join(', ')}`
  if (version === 'v2') {
    const enable = missing.map((name) => `+${name}`).join(' ')
    return { status: 'fail', detail, fix: `echo '${enable}' > /sys/fs/cgroup/cgroup.subtree_control` }
  }
  const mounts = missing.map((name) => {
    const path = `/sys/fs/cgroup/${name}`
    return `mkdir -p ${path} && mount -t cgroup -o ${name} ${name} ${path}`
  })
  return { status: 'fail', detail, fix: mounts.join(' && ') }
}

function checkNamespaces(): Outcome {
  const missing = ['mnt', 'net', 'pid', 'ipc', 'uts', 'cgroup'].filter((name) => !existsSync(`/proc/self/ns/${name}`))
  return missing.length === 0
    ? ok('mnt net pid ipc uts cgroup')
    : { status: 'fail', detail: `the kernel lacks ${missing.join(', ')}`, fix: 'use a kernel with namespaces' }
}

/** Tried in a network namespace of its own, so that nothing of the host changes. */
async function checkLinks(): Promise<Outcome> {
  const script =
    'ip link add tcd0 type bridge && ip link add tcd1 type veth peer name tcd2 && ip link set tcd1 master tcd0 && ip link set tcd1 type bridge_slave hairpin on'
  await run('unshare', ['--net', 'sh', '-ec', script])
  return ok('bridge, veth, hairpin')
}

async function checkRules(): Promise<Outcome> {
  const rules = [
    'add table inet t',
    'add map inet t m { type inet_proto . inet_service : ipv4_addr . inet_service; }',
    'add chain inet t c { type nat hook prerouting priority dstnat; }',
    'add rule inet t c fib daddr type local dnat ip to meta l4proto . th dport map @m',
    'add chain inet t p { type nat hook postrouting priority srcnat; }',
    'add rule inet t p masquerade',
  ]
  try {
    await run('unshare', ['--net', 'nft', '-f', '-'], { input: rules.join('\n') })
    return ok('maps, nat, masquerade, fib')
  } catch (error) {
    return {
      status: 'fail',
      detail: messageOf(error),
      fix: 'modprobe -a nf_tables nft_chain_nat nft_nat nft_masq nft_fib_inet',
    }
  }
}

function checkForwarding(): Outcome {
  try {
    accessSync('/proc/sys/net/ipv4/ip_forward', constants.W_OK)
    return ok('switched on when the first network is made')
  } catch {
    const on = readFileSync('/proc/sys/net/ipv4/ip_forward', 'latin1').trim() === '1'
    return on
      ? ok('on')
      : { status: 'fail', detail: 'off, and /proc/sys cannot be written to', fix: 'sysctl -w net.ipv4.ip_forward=1' }
  }
}

/** Fewer free subnets than that, and the next projects find none. */
const FEW_SUBNETS = 16

function checkPools(): Outcome {
  const pools = parsePools(process.env.TCOMPOSE_ADDRESS_POOLS)
  const free = countFree(pools, occupied())
  const detail = `${free} subnets free of ${describePools(pools)}`
  if (free >= FEW_SUBNETS) return ok(detail)
  return {
    status: free === 0 ? 'fail' : 'warn',
    detail,
    fix: "export TCOMPOSE_ADDRESS_POOLS='base=10.128.0.0/12,size=24'",
  }
}

async function checkForeign(): Promise<Outcome> {
  const { stdout } = await run('nft', ['list', 'ruleset'], { okCodes: [0, 1] })
  const table = /^table (\S+) (\S+) \{(?:(?!^table )[\s\S])*?hook forward priority [^;]*; policy drop;/m.exec(stdout)
  if (!table) return ok('none that drops forwarded packets')
  const where = `table ${table[1]} ${table[2]}`
  if (stdout.includes('chain DOCKER-USER'))
    return ok(`${where} drops what it does not know: our bridges are let through in DOCKER-USER`)
  return {
    status: 'warn',
    detail: `${where} has the forward policy drop: containers may not reach the network`,
    fix: `nft insert rule ${table[1]} ${table[2]} FORWARD iifname "br-*" accept; nft insert rule ${table[1]} ${table[2]} FORWARD oifname "br-*" accept`,
  }
}

function checkCapabilities(): Outcome {
  const bounding = BigInt(`0x${/^CapBnd:\s+(\S+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0'}`)
  const needed = {
    CAP_NET_ADMIN: 12n,
    CAP_SYS_CHROOT: 18n,
    CAP_SYS_ADMIN: 21n,
    CAP_SYS_RESOURCE: 24n,
    CAP_SETUID: 7n,
    CAP_MKNOD: 27n,
  }
  const missing = Object.entries(needed)
    .filter(([, bit]) => (bounding & (1n << bit)) === 0n)
    .map(([name]) => name)
  if (missing.length === 0) return ok('all that is needed')
  if (missing.every((name) => name === 'CAP_SYS_RESOURCE')) {
    return {
      status: 'warn',
      detail: 'without CAP_SYS_RESOURCE: limits above the hard ones and negative oom_score_adj fail',
      fix: 'run on a machine that grants CAP_SYS_RESOURCE, or leave those attributes out',
    }
  }
  return {
    status: 'fail',
    detail: `without ${missing.join(', ')}`,
    fix: 'run outside of a container, or in a privileged one',
  }
}

const LITTLE_DISK_BYTES = 2 * 1024 ** 3

function checkDisk(paths: EnginePaths): Outcome {
  let path = paths.root
  while (!existsSync(path)) path = path.slice(0, path.lastIndexOf('/')) || '/'
  const { bavail, bsize } = statfsSync(path)
  const free = bavail * bsize
  return free >= LITTLE_DISK_BYTES
    ? ok(`${formatSize(free)} on ${path}`)
    : {
        status: 'warn',
        detail: `only ${formatSize(free)} on ${path}`,
        fix: 'tcompose system prune -a, or move TCOMPOSE_ROOT to a larger disk',
      }
}

const FEW_WATCHES = 65_536

function checkInotify(): Outcome {
  const watches = Number(readFileSync('/proc/sys/fs/inotify/max_user_watches', 'latin1'))
  return watches >= FEW_WATCHES
    ? ok(`${watches} watches`)
    : {
        status: 'warn',
        detail: `${watches} watches: few for tcompose watch on a large project`,
        fix: 'sysctl -w fs.inotify.max_user_watches=524288',
      }
}
