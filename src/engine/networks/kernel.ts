import { spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { TcomposeError } from '../../base/errors.ts'
import type { NetworkContext } from './deps.ts'
import { allNetworks, endpointsOf } from './records.ts'
import { baseCommands, networkCommands, type PublishedRule, publishCommands } from './ruleset.ts'
import type { Network } from './types.ts'

const prefixLength = (subnet: string): string => subnet.slice(subnet.indexOf('/'))

export function mtuOf(network: Network): number {
  return Number(network.spec.driverOpts?.['com.docker.network.driver.mtu'] ?? 1500)
}

export function bridgeExists(network: Network): boolean {
  return existsSync(`/sys/class/net/${network.bridge}`) || readLink(network.bridge)
}

/** /sys may show another network namespace than the one this process is in; /proc/net never does. */
function readLink(name: string): boolean {
  return readFileSync('/proc/net/dev', 'latin1').includes(`${name}:`)
}

/** Makes the bridge with its addresses. Idempotent. */
export async function makeBridge(context: NetworkContext, network: Network): Promise<void> {
  const { bridge } = network
  await context.ip.batch(
    [
      `link add ${bridge} mtu ${mtuOf(network)} type bridge`,
      ...(network.ipv4Gateway === ''
        ? []
        : [`address add ${network.ipv4Gateway}${prefixLength(network.ipv4Subnet)} dev ${bridge}`]),
      ...(network.ipv6Gateway === ''
        ? []
        : [`address add ${network.ipv6Gateway}${prefixLength(network.ipv6Subnet)} dev ${bridge} nodad`]),
      `link set ${bridge} up`,
    ],
    /File exists/,
  )
  setSysctl('net/ipv4/ip_forward', '1')
  setSysctl(`net/ipv4/conf/${bridge}/route_localnet`, '1')
  if (network.ipv6Subnet === '') setSysctl(`net/ipv6/conf/${bridge}/disable_ipv6`, '1')
  else setSysctl('net/ipv6/conf/all/forwarding', '1')
}

function setSysctl(name: string, value: string): void {
  const path = `/proc/sys/${name}`
  try {
    if (readFileSync(path, 'latin1').trim() !== value) writeFileSync(path, value)
  } catch {
    // Not there (no IPv6), or read-only: what then does not work says so by itself, and `doctor` names it.
  }
}

/**
 * Deletes bridges without waiting: each takes the kernel 110 ms, which nobody needs to wait for. The process goes on
 * when this one has ended; a bridge it does not come to is found by `reconcile`.
 */
export function deleteBridges(bridges: readonly string[]): void {
  if (bridges.length === 0) return
  const child = spawn('ip', ['-force', '-batch', '-'], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
  child.on('error', () => {})
  child.stdin.on('error', () => {})
  child.stdin.end(bridges.map((bridge) => `link delete ${bridge}\n`).join(''))
  child.unref()
}

/** Whether our table is there; made by whoever finds it missing, with everything that the records ask for. */
export async function ensureTable(context: NetworkContext): Promise<void> {
  if ((await context.nft.query(`list chain inet ${context.table} publish`)) !== undefined) return
  await context.nft.apply(wholeRuleset(context))
}

/** Our table from nothing: base, every network, every port of a container that is up. */
export function wholeRuleset(context: NetworkContext): readonly string[] {
  const { table } = context
  return [
    ...baseCommands(table),
    ...allNetworks(context.db)
      .filter((network) => network.bridge !== '')
      .flatMap((network) => networkCommands(table, network, 'add')),
    ...publishedRules(context).flatMap((rule) => publishCommands(table, rule, 'add')),
  ]
}

export function publishedRules(context: NetworkContext, containerId?: string): readonly PublishedRule[] {
  const rows =
    containerId === undefined
      ? context.db.all('SELECT * FROM ports')
      : context.db.all('SELECT * FROM ports WHERE container_id = ?', containerId)
  const addresses = new Map<string, { ipv4: string; ipv6: string }>()
  const internal = new Set(
    allNetworks(context.db)
      .filter((network) => network.spec.internal)
      .map((network) => network.id),
  )
  for (const network of allNetworks(context.db)) {
    if (internal.has(network.id)) continue
    for (const { containerId: id, endpoint } of endpointsOf(context.db, network.id)) {
      const known = addresses.get(id)
      // The endpoint that was asked for first is the one that is published; the records keep no order, the gateway does.
      if (!known || (endpoint.spec.gwPriority ?? 0) > 0) addresses.set(id, { ipv4: endpoint.ipv4, ipv6: endpoint.ipv6 })
    }
  }
  return rows.flatMap((row) => {
    const address = addresses.get(row.container_id as string)
    if (!address) return []
    return {
      protocol: row.protocol as string,
      hostIp: row.host_ip as string,
      hostPort: Number(row.host_port),
      containerPort: Number(row.container_port),
      ...address,
    }
  })
}

const FOREIGN_CHAINS = ['ip filter DOCKER-USER', 'ip6 filter DOCKER-USER'] as const

/**
 * Where dockerd runs, its FORWARD policy is drop: a packet must be accepted in its table too. Docker leaves the chain
 * DOCKER-USER to others for that.
 */
export async function openForeignChains(context: NetworkContext, bridge: string): Promise<void> {
  for (const chain of FOREIGN_CHAINS) {
    if ((await context.nft.query(`list chain ${chain}`)) === undefined) continue
    await context.nft.apply([
      `insert rule ${chain} oifname "${bridge}" counter accept`,
      `insert rule ${chain} iifname "${bridge}" counter accept`,
    ])
  }
}

export async function closeForeignChains(context: NetworkContext, bridge: string): Promise<void> {
  for (const chain of FOREIGN_CHAINS) {
    const listing = await context.nft.query(`list chain ${chain}`)
    if (!listing?.includes(`"${bridge}"`)) continue
    const withHandles = await listHandles(chain)
    const handles = [...withHandles.matchAll(/[io]ifname "([^"]+)"[^\n]*# handle (\d+)/g)]
      .filter((match) => match[1] === bridge)
      .map((match) => match[2])
    await context.nft.apply(handles.map((handle) => `delete rule ${chain} handle ${handle}`))
  }
}

async function listHandles(chain: string): Promise<string> {
  const { run } = await import('../../platform/exec.ts')
  return (await run('nft', ['-a', 'list', 'chain', ...chain.split(' ')])).stdout
}

export function unsupportedDriver(driver: string): TcomposeError {
  return new TcomposeError('UNSUPPORTED', `network driver ${JSON.stringify(driver)} is not supported`, {
    hint: 'supported are bridge, host and none',
  })
}
