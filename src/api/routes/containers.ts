import { randomHex } from '../../base/id.ts'
import type { Container, ContainerStatus } from '../../engine/containers/types.ts'
import type { Engine } from '../../engine/engine.ts'
import { type ApiRequest, type Filters, flag, integer, readFilters } from '../exchange.ts'
import { badRequest } from '../http-error.ts'
import type { Routes } from '../router.ts'
import { isRunning, wireContainer, wireContainerSummary } from '../wire/container.ts'
import { containerSizes } from '../wire/container-sizes.ts'
import { readCreate, readRestart } from '../wire/create-request.ts'
import { readResources } from '../wire/create-resources.ts'
import { matchesLabel } from '../wire/label.ts'
import { object } from '../wire/read.ts'
import { untilTime } from '../wire/until.ts'

const FILTERS = [
  'ancestor',
  'before',
  'exited',
  'expose',
  'health',
  'id',
  'is-task',
  'isolation',
  'label',
  'name',
  'network',
  'publish',
  'since',
  'status',
  'volume',
]

/** Containers without their streams. */
export function containerRoutes(engine: Engine, execsOf: (containerId: string) => readonly string[]): Routes {
  const { containers } = engine
  return {
    'GET /containers/json': async (request, response) => {
      const found = await listContainers(engine, request)
      const sized = flag(request.query, 'size')
      response.json(
        200,
        await Promise.all(
          found.map(async (one) => ({
            ...wireContainerSummary(one),
            ...(sized ? await containerSizes(engine, one, request.signal) : {}),
          })),
        ),
      )
    },
    'GET /containers/{id}/json': async ({ params, query, signal }, response) => {
      const container = await containers.get(params.id as string)
      response.json(200, {
        ...wireContainer(container, engine.paths, execsOf(container.id)),
        ...(flag(query, 'size') ? await containerSizes(engine, container, signal) : {}),
      })
    },
    'POST /containers/create': async (request, response) => {
      const name = (request.query.get('name') || `tc_${randomHex(12)}`).replace(/^\//, '')
      const spec = readCreate(await request.json(), name, request.query.get('platform') || undefined)
      if (spec.image === '') throw badRequest('invalid reference format')
      const container = await containers.create(spec, { signal: request.signal })
      response.json(201, { Id: container.id, Warnings: [] })
    },
    'POST /containers/{id}/start': async ({ params }, response) => {
      const id = params.id as string
      const before = await containers.get(id)
      if (before.state.status === 'running') return response.empty(304)
      await containers.start(id)
      response.empty(204)
    },
    'POST /containers/{id}/stop': async ({ params, query }, response) => {
      const id = params.id as string
      const before = await containers.get(id)
      if (!isRunning(before) && before.state.status !== 'restarting') return response.empty(304)
      await containers.stop(id, { timeoutSeconds: integer(query, 't'), stopSignal: query.get('signal') || undefined })
      response.empty(204)
    },
    'POST /containers/{id}/restart': async ({ params, query }, response) => {
      await containers.restart(params.id as string, { timeoutSeconds: integer(query, 't') })
      response.empty(204)
    },
    'POST /containers/{id}/kill': async ({ params, query }, response) => {
      await containers.kill(params.id as string, query.get('signal') || 'SIGKILL')
      response.empty(204)
    },
    'POST /containers/{id}/pause': async ({ params }, response) => {
      await containers.pause(params.id as string)
      response.empty(204)
    },
    'POST /containers/{id}/unpause': async ({ params }, response) => {
      await containers.unpause(params.id as string)
      response.empty(204)
    },
    'POST /containers/{id}/rename': async ({ params, query }, response) => {
      const name = query.get('name')
      if (!name) throw badRequest('Neither old nor new names may be empty')
      await containers.rename(params.id as string, name)
      response.empty(204)
    },
    'POST /containers/{id}/update': async (request, response) => {
      const body = await request.json()
      const resources = readResources(body)
      const restart = readRestart(object(body, 'RestartPolicy'))
      await containers.update(request.params.id as string, {
        ...(Object.keys(resources).length > 0 ? { resources } : {}),
        ...(restart ? { restart } : {}),
      })
      response.json(200, { Warnings: null })
    },
    'DELETE /containers/{id}': async ({ params, query }, response) => {
      await containers.remove(params.id as string, { force: flag(query, 'force'), volumes: flag(query, 'v') })
      response.empty(204)
    },
    'GET /containers/{id}/top': async ({ params, query }, response) => {
      const psArgs = query.get('ps_args')?.trim()
      const { titles, rows } = await containers.top(params.id as string, psArgs ? psArgs.split(/\s+/) : undefined)
      response.json(200, { Titles: titles, Processes: rows })
    },
    'GET /containers/{id}/changes': async ({ params }, response) => {
      const kinds = { C: 0, A: 1, D: 2 } as const
      const changes = await containers.changes(params.id as string)
      response.json(
        200,
        changes.length === 0 ? null : changes.map(({ kind, path }) => ({ Path: path, Kind: kinds[kind] })),
      )
    },
    'POST /containers/prune': async ({ query, signal }, response) => {
      const filters = readFilters(query, ['label', 'label!', 'until'])
      const until = filters.get('until')?.[0]
      const before = until === undefined ? undefined : Date.parse(untilTime(until))
      const removed: string[] = []
      let bytes = 0
      for (const container of await containers.list({ labels: filters.get('label') ?? [] })) {
        const { status } = container.state
        if (status !== 'created' && status !== 'exited' && status !== 'dead') continue
        if (before !== undefined && !(Date.parse(container.createdAt) < before)) continue
        if ((filters.get('label!') ?? []).some((label) => matchesLabel(container.labels, label))) continue
        const written = await containers.writtenBytes(container.id, signal)
        await containers.remove(container.id)
        bytes += written
        removed.push(container.id)
      }
      response.json(200, { ContainersDeleted: removed.length > 0 ? removed : null, SpaceReclaimed: bytes })
    },
  }
}

async function listContainers(engine: Engine, request: ApiRequest): Promise<readonly Container[]> {
  const { query } = request
  const filters = readFilters(query, FILTERS)
  const statuses = (filters.get('status') ?? []).map(readStatus)
  const all = flag(query, 'all') || statuses.length > 0 || filters.has('exited')
  const limit = integer(query, 'limit') ?? 0
  const found = await engine.containers.list({ labels: filters.get('label') ?? [] })
  const position = (ref: string): number => {
    const index = found.findIndex((one) => one.name === ref.replace(/^\//, '') || one.id.startsWith(ref))
    if (index === -1) throw badRequest(`No such container: ${ref}`)
    return index
  }
  const before = filters.get('before')?.map(position) ?? []
  const since = filters.get('since')?.map(position) ?? []
  const selected = found.filter(
    (container, index) =>
      (all || limit > 0 || isRunning(container) || container.state.status === 'restarting') &&
      (statuses.length === 0 || statuses.includes(container.state.status)) &&
      // Newest first: what came before has a higher place.
      before.every((place) => index > place) &&
      since.every((place) => index < place) &&
      matches(container, filters),
  )
  return limit > 0 ? selected.slice(0, limit) : selected
}

function readStatus(text: string): ContainerStatus {
  const known: readonly string[] = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead']
  if (!known.includes(text)) throw badRequest(`invalid filter 'status=${text}'`)
  return text as ContainerStatus
}

function matches(container: Container, filters: Filters): boolean {
  const any = (name: string, test: (value: string) => boolean): boolean => {
    const values = filters.get(name)
    return values === undefined || values.length === 0 || values.some(test)
  }
  return (
    any('id', (value) => container.id.startsWith(value)) &&
    any('name', (value) => matchesName(container.name, value)) &&
    any('exited', (value) => container.state.status === 'exited' && container.state.exitCode === Number(value)) &&
    any('ancestor', (value) => isOfImage(container, value)) &&
    any('health', (value) => (container.state.health?.status ?? 'none') === value) &&
    any('network', (value) =>
      container.endpoints.some((one) => one.networkName === value || one.networkId.startsWith(value)),
    ) &&
    any('volume', (value) => container.mounts.some((one) => one.name === value || one.target === value)) &&
    any('publish', (value) => container.ports.some((one) => isPort(value, one.hostPort, one.protocol))) &&
    any('expose', (value) => container.config.exposedPorts.includes(value.includes('/') ? value : `${value}/tcp`)) &&
    any('is-task', (value) => value === 'false' || value === '0')
  )
}

/** A name filter is a regular expression, with or without the slash that names begin with on the wire. */
function matchesName(name: string, pattern: string): boolean {
  try {
    const expression = new RegExp(pattern)
    return expression.test(name) || expression.test(`/${name}`)
  } catch {
    return name.includes(pattern)
  }
}

function isOfImage(container: Container, reference: string): boolean {
  const { image } = container.config
  if (image === reference || image === `${reference}:latest`) return true
  const hex = reference.replace(/^sha256:/, '')
  return /^[0-9a-f]{6,64}$/.test(hex) && container.imageId.startsWith(`sha256:${hex}`)
}

function isPort(wanted: string, port: number, protocol: string): boolean {
  const [number, kind] = wanted.split('/')
  const [first, last] = (number ?? '').split('-').map(Number)
  return port >= (first ?? 0) && port <= (last ?? first ?? 0) && (kind === undefined || kind === protocol)
}
