import { TcomposeError } from '../../base/errors.ts'
import type { Engine } from '../../engine/engine.ts'
import type { IpamPool, Network } from '../../engine/networks/types.ts'
import { type JsonObject, readFilters } from '../exchange.ts'
import { badRequest } from '../http-error.ts'
import type { Routes } from '../router.ts'
import { isRunning } from '../wire/container.ts'
import { readEndpoint } from '../wire/create-request.ts'
import { matchesLabel } from '../wire/label.ts'
import { bool, list, map, object, text } from '../wire/read.ts'
import { untilTime } from '../wire/until.ts'

const PREDEFINED = ['bridge', 'host', 'none']

export function networkRoutes(engine: Engine): Routes {
  const { networks, containers } = engine
  return {
    'GET /networks': async ({ query }, response) => {
      const filters = readFilters(query, ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type'])
      const found = await networks.list({ labels: filters.get('label') ?? [] })
      const used = new Set(
        (await containers.list()).flatMap((one) => one.endpoints.map((endpoint) => endpoint.networkId)),
      )
      const any = (name: string, test: (value: string) => boolean): boolean =>
        (filters.get(name) ?? [undefined]).some((value) => value === undefined || test(value))
      const selected = found.filter(
        (network) =>
          any('id', (value) => network.id.startsWith(value)) &&
          any('name', (value) => network.name.includes(value)) &&
          any('driver', (value) => network.driver === value) &&
          any('scope', (value) => value === 'local') &&
          any('type', (value) => (value === 'builtin') === PREDEFINED.includes(network.name)) &&
          any(
            'dangling',
            (value) => ['1', 'true'].includes(value) === (!used.has(network.id) && !PREDEFINED.includes(network.name)),
          ),
      )
      response.json(
        200,
        selected.map((network) => wireNetwork(network, {})),
      )
    },
    'GET /networks/{id}': async ({ params }, response) => {
      response.json(200, await inspect(engine, params.id as string))
    },
    'POST /networks/create': async (request, response) => {
      const body = await request.json()
      const name = text(body, 'Name')
      if (!name) throw badRequest('network name is required')
      if (await networks.find(name)) throw new TcomposeError('CONFLICT', `network with name ${name} already exists`)
      const driver = text(body, 'Driver')
      const labels = map(body, 'Labels')
      const driverOpts = map(body, 'Options')
      const ipam = object(body, 'IPAM')
      const network = await networks.create({
        name,
        ...(driver ? { driver: driver as 'bridge' } : {}),
        ...(driverOpts ? { driverOpts } : {}),
        internal: bool(body, 'Internal'),
        attachable: bool(body, 'Attachable'),
        enableIpv4: body.EnableIPv4 !== false,
        enableIpv6: bool(body, 'EnableIPv6'),
        ipam: {
          ...(text(ipam, 'Driver') ? { driver: text(ipam, 'Driver') as string } : {}),
          pools: (list(ipam, 'Config') ?? []).map(readPool),
        },
        ...(labels ? { labels } : {}),
      })
      response.json(201, { Id: network.id, Warning: '' })
    },
    'POST /networks/{id}/connect': async (request, response) => {
      const body = await request.json()
      const network = await networks.get(request.params.id as string)
      const container = text(body, 'Container')
      if (!container) throw badRequest('container name or id is required')
      await containers.connect(container, readEndpoint(network.name, object(body, 'EndpointConfig')))
      response.empty(200)
    },
    'POST /networks/{id}/disconnect': async (request, response) => {
      const body = await request.json()
      const network = await networks.get(request.params.id as string)
      const container = text(body, 'Container')
      if (!container) throw badRequest('container name or id is required')
      await containers.disconnect(container, network.id)
      response.empty(200)
    },
    'DELETE /networks/{id}': async ({ params }, response) => {
      await networks.remove(params.id as string)
      response.empty(204)
    },
    'POST /networks/prune': async ({ query }, response) => {
      const filters = readFilters(query, ['label', 'label!', 'until'])
      const until = filters.get('until')?.[0]
      const before = until === undefined ? undefined : Date.parse(untilTime(until))
      const removed: string[] = []
      for (const network of await networks.list({ labels: filters.get('label') ?? [] })) {
        if (PREDEFINED.includes(network.name) || (await networks.containersOf(network.id)).length > 0) continue
        if ((filters.get('label!') ?? []).some((label) => matchesLabel(network.labels, label))) continue
        if (before !== undefined && !(Date.parse(network.createdAt) < before)) continue
        await networks.remove(network.id)
        removed.push(network.name)
      }
      response.json(200, { NetworksDeleted: removed.length > 0 ? removed : null })
    },
  }
}

function readPool(given: JsonObject): IpamPool {
  const pool: Record<string, unknown> = {}
  for (const [wire, field] of [
    ['Subnet', 'subnet'],
    ['IPRange', 'ipRange'],
    ['Gateway', 'gateway'],
  ] as const) {
    const value = text(given, wire)
    if (value) pool[field] = value
  }
  const auxiliary = map(given, 'AuxiliaryAddresses') ?? map(given, 'AuxAddress')
  return { ...pool, ...(auxiliary ? { auxAddresses: auxiliary } : {}) }
}

async function inspect(engine: Engine, ref: string): Promise<object> {
  const network = await engine.networks.get(ref)
  const members: Record<string, object> = {}
  for (const container of await engine.containers.list({ network: network.id })) {
    const endpoint = container.endpoints.find(({ networkId }) => networkId === network.id)
    if (!endpoint || !isRunning(container)) continue
    members[container.id] = {
      Name: container.name,
      EndpointID: endpoint.endpointId,
      MacAddress: endpoint.macAddress,
      IPv4Address: endpoint.ipv4 === '' ? '' : `${endpoint.ipv4}/${endpoint.ipv4PrefixLength}`,
      IPv6Address: endpoint.ipv6 === '' ? '' : `${endpoint.ipv6}/${endpoint.ipv6PrefixLength}`,
    }
  }
  return wireNetwork(network, members)
}

function wireNetwork(network: Network, members: Readonly<Record<string, object>>): object {
  const { spec } = network
  const pools = [
    { Subnet: network.ipv4Subnet, Gateway: network.ipv4Gateway },
    { Subnet: network.ipv6Subnet, Gateway: network.ipv6Gateway },
  ].filter(({ Subnet }) => Subnet !== '')
  return {
    Name: network.name,
    Id: network.id,
    Created: network.createdAt,
    Scope: 'local',
    Driver: network.driver,
    EnableIPv4: spec.enableIpv4 ?? true,
    EnableIPv6: spec.enableIpv6 ?? false,
    IPAM: {
      Driver: spec.ipam?.driver ?? 'default',
      Options: spec.ipam?.options ?? null,
      Config: pools.map((pool, index) => ({ ...pool, ...ranges(spec.ipam?.pools[index]) })),
    },
    Internal: spec.internal ?? false,
    Attachable: spec.attachable ?? false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: members,
    Options: spec.driverOpts ?? {},
    Labels: network.labels,
  }
}

function ranges(pool: IpamPool | undefined): object {
  return {
    ...(pool?.ipRange ? { IPRange: pool.ipRange } : {}),
    ...(pool?.auxAddresses ? { AuxiliaryAddresses: pool.auxAddresses } : {}),
  }
}
