import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { TcomposeError } from '../../base/errors.ts'
import { randomId } from '../../base/id.ts'
import { withLock } from '../../platform/lock.ts'
import { hostPrefixes, interfaceNames } from '../../platform/routes.ts'
import { type Address, formatAddress, formatPrefix, overlaps, type Prefix, parsePrefix } from './address.ts'
import { elementsOf, ensureBridge, HOST_LOCK, type NetworkContext } from './context.ts'
import { doomLinks } from './doomed-links.ts'
import { closeForeignFirewalls } from './foreign-firewall.ts'
import { gatewayFor, type IpamRequest, readIpam, uniqueLocalSubnet } from './ipam.ts'
import { requireDriver } from './links.ts'
import { type NetworkOptions, networkOptions } from './options.ts'
import { chooseSubnet } from './pools.ts'
import { DEFAULT_NETWORK, PREDEFINED } from './records.ts'
import type { Network, NetworkSpec } from './types.ts'

const DRIVERS = ['bridge', 'macvlan', 'ipvlan']

/** Somebody else (a VPN, another engine) may take the subnet at the same moment. */
const MAX_ATTEMPTS = 8

/** Makes a network with its bridge. @throws TcomposeError CONFLICT, INVALID, UNSUPPORTED, DENIED, UNAVAILABLE */
export async function createNetwork(context: NetworkContext, spec: NetworkSpec): Promise<Network> {
  if (spec.name.trim() === '') throw new TcomposeError('INVALID', 'a network must have a name')
  if (PREDEFINED.includes(spec.name)) {
    throw new TcomposeError('DENIED', `operation is not permitted on predefined ${spec.name} network`)
  }
  const driver = spec.driver ?? 'bridge'
  if (!DRIVERS.includes(driver)) {
    throw new TcomposeError('UNSUPPORTED', `network driver "${driver}" of network ${spec.name}`, {
      hint: `drivers are ${DRIVERS.join(', ')}`,
    })
  }
  const options = networkOptions(spec)
  const request = readIpam(spec)
  const { store } = context
  if (store.byName(spec.name)) throw nameTaken(spec)
  const network = await withLock(HOST_LOCK.scope, HOST_LOCK.name, async () => {
    const id = randomId()
    const refused: Prefix[] = []
    for (let attempt = 0; ; attempt++) {
      const made = describe(context, { id, spec, options, request, refused })
      store.transaction(() => {
        if (store.byName(spec.name)) throw nameTaken(spec)
        store.insert(made)
      })
      try {
        await ensureBridge(context, made)
        await requireDriver(made, options)
      } catch (error) {
        await undo(context, made)
        throw error
      }
      const clash = request.v4?.subnet === undefined && subnetClash(made)
      if (!clash || attempt === MAX_ATTEMPTS) return made
      await undo(context, made)
      refused.push(...prefixOf(made.ipv4Subnet))
    }
  })
  context.events.emit({
    type: 'network',
    action: 'create',
    actorId: network.id,
    attributes: { name: network.name, type: network.driver },
  })
  return network
}

function nameTaken(spec: NetworkSpec): TcomposeError {
  return new TcomposeError('CONFLICT', `network with name ${spec.name} already exists`)
}

async function undo(context: NetworkContext, network: Network): Promise<void> {
  context.store.delete(network.id)
  await context.firewall.remove(elementsOf(network))
  if (network.bridge === '') return
  await Promise.all([doomLinks([network.bridge]), closeForeignFirewalls(network.bridge)])
}

interface Description {
  readonly id: string
  readonly spec: NetworkSpec
  readonly options: NetworkOptions
  readonly request: IpamRequest
  readonly refused: readonly Prefix[]
}

function describe(context: NetworkContext, { id, spec, options, request, refused }: Description): Network {
  const driver = spec.driver ?? 'bridge'
  const bridge = driver === 'bridge' || options.parent === '' ? (options.bridgeName ?? `br-${id.slice(0, 12)}`) : ''
  if (options.bridgeName !== undefined && interfaceNames().includes(options.bridgeName)) {
    throw new TcomposeError('CONFLICT', `network ${spec.name}: interface ${options.bridgeName} already exists`)
  }
  if (driver !== 'bridge' && options.parent !== '' && !interfaceNames().includes(options.parent)) {
    throw new TcomposeError('INVALID', `network ${spec.name}: the host has no interface ${options.parent}`)
  }
  return {
    id,
    name: spec.name,
    createdAt: new Date().toISOString(),
    driver,
    spec,
    labels: spec.labels ?? {},
    bridge,
    ...chooseFamilies(context, spec, request, refused),
  }
}

type Families = Pick<Network, 'ipv4Subnet' | 'ipv4Gateway' | 'ipv6Subnet' | 'ipv6Gateway'>

function chooseFamilies(
  context: NetworkContext,
  spec: NetworkSpec,
  request: IpamRequest,
  refused: readonly Prefix[],
): Families {
  const ours = context.store.all().flatMap((other) => [...prefixOf(other.ipv4Subnet), ...prefixOf(other.ipv6Subnet)])
  const settle = (
    family: { readonly subnet: Prefix | undefined; readonly gateway: Address | undefined } | undefined,
    choose: () => Prefix,
  ): readonly [string, string] => {
    if (!family) return ['', '']
    const { subnet = choose() } = family
    if (family.subnet && ours.some((other) => overlaps(other, subnet))) {
      throw new TcomposeError(
        'CONFLICT',
        `network ${spec.name}: invalid pool request: Pool overlaps with other one on this address space (${formatPrefix(subnet)})`,
      )
    }
    return [formatPrefix(subnet), formatAddress(family.gateway ?? gatewayFor(spec, subnet))]
  }
  const [ipv4Subnet, ipv4Gateway] = settle(request.v4, () =>
    chooseSubnet(context.pools(), [...ours, ...refused, ...occupied()], startOf(context, spec.name)),
  )
  const [ipv6Subnet, ipv6Gateway] = settle(request.v6, () => {
    for (;;) {
      const subnet = uniqueLocalSubnet(context.secret)
      if (![...ours, ...occupied()].some((other) => overlaps(other, subnet))) return subnet
    }
  })
  return { ipv4Subnet, ipv4Gateway, ipv6Subnet, ipv6Gateway }
}

/** The same name in the same state root starts the search at the same place: a project keeps its subnets. */
function startOf(context: NetworkContext, name: string): number {
  return Number.parseInt(hash('sha256', `${context.instance}/${name}`, 'hex').slice(0, 8), 16)
}

/** Prefixes of the host that a new subnet must not overlap: routes, addresses, name servers. */
export function occupied(): readonly Prefix[] {
  return [...hostPrefixes().flatMap(({ prefix }) => prefixOf(prefix)), ...nameServers()]
}

function nameServers(): readonly Prefix[] {
  try {
    const text = readFileSync('/etc/resolv.conf', 'utf8')
    return [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].flatMap(([, address = '']) =>
      prefixOf(`${address}/${address.includes(':') ? 128 : 32}`),
    )
  } catch {
    return []
  }
}

function prefixOf(text: string): readonly Prefix[] {
  const prefix = text === '' ? undefined : parsePrefix(text)
  return prefix ? [prefix] : []
}

/** Whether somebody else has taken the subnet while we did. */
function subnetClash(network: Network): boolean {
  const [own] = prefixOf(network.ipv4Subnet)
  if (!own) return false
  return hostPrefixes().some(
    ({ prefix, device }) => device !== network.bridge && prefixOf(prefix).some((other) => overlaps(other, own)),
  )
}

/** Writes the networks that are always there, once per state root. */
export function ensurePredefined(context: NetworkContext): void {
  const { store } = context
  if (PREDEFINED.every((name) => store.byName(name))) return
  store.transaction(() => {
    for (const name of PREDEFINED) {
      if (store.byName(name)) continue
      const id = randomId()
      const driver = name === 'none' ? 'none' : name === 'host' ? 'host' : 'bridge'
      store.insert({
        id,
        name,
        createdAt: new Date().toISOString(),
        driver,
        spec: { name, driver },
        labels: {},
        bridge: name === DEFAULT_NETWORK ? `br-${id.slice(0, 12)}` : '',
        ipv4Subnet: '',
        ipv4Gateway: '',
        ipv6Subnet: '',
        ipv6Gateway: '',
      })
    }
  })
}

/** Gives the default network a subnet and a bridge, which it has only while it is used. */
export async function ensureDefaultNetwork(context: NetworkContext, id: string): Promise<Network> {
  return await withLock(HOST_LOCK.scope, HOST_LOCK.name, async () => {
    const stored = context.store.byId(id)
    if (!stored) throw new TcomposeError('NOT_FOUND', `network ${id} not found`)
    let network = stored
    const inUse = interfaceNames().includes(stored.bridge)
    if (stored.ipv4Subnet === '' || (!inUse && subnetClash(stored))) {
      const fresh = chooseFamilies(
        context,
        stored.spec,
        { v4: { subnet: undefined, gateway: undefined }, v6: undefined },
        [],
      )
      network = { ...stored, ...fresh }
      context.store.update(network)
    }
    await ensureBridge(context, network)
    return network
  })
}
