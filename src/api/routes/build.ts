import type { Readable } from 'node:stream'
import { hexOf } from '../../base/digest.ts'
import { messageOf, TcomposeError } from '../../base/errors.ts'
import { silent } from '../../base/progress.ts'
import type { BuildContext, BuildEvent, BuildRequest } from '../../engine/build/types.ts'
import type { Engine } from '../../engine/engine.ts'
import { type ApiRequest, flag, integer, type JsonObject, type ResponseStream, readFilters } from '../exchange.ts'
import { badRequest } from '../http-error.ts'
import type { Routes } from '../router.ts'
import { readRegistryConfig } from '../wire/registry-auth.ts'

/** Building, in the classic form: a tar of the context in, lines of JSON out. */
export function buildRoutes(engine: Engine): Routes {
  return {
    'POST /build': async (request, response) => {
      if (request.query.get('version') === '2') {
        throw new TcomposeError('UNSUPPORTED', 'BuildKit sessions are not supported', {
          hint: 'set DOCKER_BUILDKIT=0',
        })
      }
      const build = readBuild(request)
      const quiet = flag(request.query, 'q')
      let stream: ResponseStream | undefined
      const say = (value: object): void => {
        stream ??= response.stream(200, 'application/json')
        stream.write(`${JSON.stringify(value)}\n`).catch(() => {})
      }
      const onEvent = quiet ? undefined : classicOutput(say)
      try {
        const result = await engine.builder.build(build, {
          emit: silent,
          signal: request.signal,
          ...(onEvent ? { onEvent } : {}),
        })
        const { imageId } = result
        if (imageId) {
          say({ aux: { ID: imageId } })
          if (quiet) say({ stream: `${imageId}\n` })
          else say({ stream: `Successfully built ${hexOf(imageId).slice(0, 12)}\n` })
          if (!quiet) for (const tag of build.tags ?? []) say({ stream: `Successfully tagged ${withTag(tag)}\n` })
        }
      } catch (error) {
        // What is refused before anything was done has a status of its own.
        if (!stream) throw error
        const exitCode = error instanceof TcomposeError ? error.exitCode : undefined
        const detail = { message: messageOf(error), ...(exitCode === undefined ? {} : { code: exitCode }) }
        say({ errorDetail: detail, error: messageOf(error) })
      }
      stream ??= response.stream(200, 'application/json')
      stream.end()
    },
    'POST /build/prune': async ({ query }, response) => {
      const filters = readFilters(query, ['until', 'unused-for'])
      const age = filters.get('until')?.[0] ?? filters.get('unused-for')?.[0]
      const keep = integer(query, 'reserved-space') ?? integer(query, 'keep-storage')
      const { removed, bytes } = await engine.builder.prune({
        all: flag(query, 'all'),
        ...(keep === undefined || keep === 0 ? {} : { keepBytes: keep }),
        ...(age === undefined ? {} : { olderThan: age }),
      })
      response.json(200, { CachesDeleted: removed.length > 0 ? removed : null, SpaceReclaimed: bytes })
    },
  }
}

/** Limits of the classic builder's containers and the like; clients send them empty or 0 when nobody asked. */
const REFUSED = [
  'cgroupparent',
  'cpuperiod',
  'cpuquota',
  'cpusetcpus',
  'cpusetmems',
  'cpushares',
  'memory',
  'memswap',
  'outputs',
  'squash',
]

function refuseUnsupported(query: URLSearchParams): void {
  for (const name of REFUSED) {
    const value = query.get(name) ?? ''
    if (!['', '0', 'false', '[]', 'null'].includes(value)) {
      throw new TcomposeError('UNSUPPORTED', `build parameter ${name} is not supported`)
    }
  }
}

function readBuild({ query, body, headers }: ApiRequest): BuildRequest {
  refuseUnsupported(query)
  const remote = query.get('remote')
  const network = query.get('networkmode')
  const dockerfile = query.get('dockerfile')
  const platform = query.get('platform')
  const target = query.get('target')
  const shm = integer(query, 'shmsize')
  return {
    context: contextOf(remote, body),
    tags: query.getAll('t').filter(Boolean),
    args: record(query, 'buildargs'),
    labels: record(query, 'labels'),
    noCache: flag(query, 'nocache'),
    pull: flag(query, 'pull'),
    credentials: readRegistryConfig(headers['x-registry-config']),
    ulimits: readUlimits(query.get('ulimits')),
    extraHosts: query
      .getAll('extrahosts')
      .flatMap((hosts) => hosts.split(','))
      .filter(Boolean),
    ...(dockerfile ? { dockerfile } : {}),
    ...(target ? { target } : {}),
    ...(platform ? { platforms: [platform] } : {}),
    ...(network && network !== 'default' ? { network } : {}),
    ...(shm ? { shmSizeBytes: shm } : {}),
  }
}

function contextOf(remote: string | null, body: Readable): BuildContext {
  if (!remote || remote === 'client-session') return { kind: 'tar', stream: body }
  return /\.git(#|$)|^git/.test(remote) ? { kind: 'git', url: remote } : { kind: 'url', url: remote }
}

function readUlimits(text: string | null): NonNullable<BuildRequest['ulimits']> {
  if (!text) return []
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw badRequest('error reading ulimits: invalid JSON')
  }
  if (parsed === null) return []
  if (!Array.isArray(parsed)) throw badRequest('error reading ulimits: a list is expected')
  return parsed.map((one: JsonObject) => {
    const { Name: name, Soft: soft, Hard: hard } = one
    if (typeof name !== 'string' || typeof soft !== 'number' || typeof hard !== 'number') {
      throw badRequest('error reading ulimits: Name, Soft and Hard are expected')
    }
    return { name, soft, hard }
  })
}

/** An object of strings in a parameter; null is a build argument to be taken from the environment, which here is none. */
function record(query: URLSearchParams, name: string): Readonly<Record<string, string>> {
  const text = query.get(name)
  if (!text) return {}
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw badRequest(`error reading ${name}: invalid JSON`)
  }
  if (typeof parsed !== 'object' || parsed === null) throw badRequest(`error reading ${name}: an object is expected`)
  const entries = Object.entries(parsed).filter(([, value]) => value !== null)
  return Object.fromEntries(entries.map(([key, value]) => [key, String(value)]))
}

/** Steps and their output in the words of the classic builder, which clients read. */
function classicOutput(say: (value: object) => void): (event: BuildEvent) => void {
  const told = new Set<string>()
  return (event) => {
    switch (event.kind) {
      case 'log':
        return say({ stream: event.text })
      case 'warning':
        return say({ stream: `[Warning] ${event.rule}: ${event.message} (line ${event.line})\n` })
      case 'step': {
        if (!told.has(event.id)) say({ stream: `${stepText(event.name)}\n` })
        told.add(event.id)
        if (event.state === 'cached') say({ stream: ' ---> Using cache\n' })
        return
      }
    }
  }
}

/** `[build 2/5] RUN x` as `Step 2/5 : RUN x`; what is no instruction stays as it is. */
export function stepText(name: string): string {
  const step = /^\[(?:.* )?(\d+\/\d+)\] (.*)$/s.exec(name)
  return step ? `Step ${step[1]} : ${step[2]}` : name
}

function withTag(reference: string): string {
  return /:[^/]+$/.test(reference) ? reference : `${reference}:latest`
}
