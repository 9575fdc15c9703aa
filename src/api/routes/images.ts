import type { Readable } from 'node:stream'
import { messageOf, TcomposeError } from '../../base/errors.ts'
import { type Emit, silent } from '../../base/progress.ts'
import { familiarName, formatReference, parseReference } from '../../base/reference.ts'
import type { Engine } from '../../engine/engine.ts'
import { commitContainer } from '../../engine/images/commit.ts'
import { parseChanges } from '../../engine/images/image-changes.ts'
import type { Image } from '../../engine/images/types.ts'
import { type ApiRequest, type ApiResponse, flag, type ResponseStream, readFilters } from '../exchange.ts'
import { badRequest } from '../http-error.ts'
import type { Routes } from '../router.ts'
import { readImageConfig } from '../wire/image-config.ts'
import { readRegistryAuth } from '../wire/registry-auth.ts'
import { unixSeconds } from '../wire/time.ts'
import { untilTime } from '../wire/until.ts'

/** Images, but for building them. */
export function imageRoutes(engine: Engine): Routes {
  const { images, containers } = engine
  return {
    'GET /images/json': async ({ query }, response) => {
      const filters = readFilters(query, ['before', 'dangling', 'label', 'reference', 'since', 'until'])
      const dangling = filters.get('dangling')?.[0]
      const references = filters.get('reference')
      const found = await images.list({
        labels: filters.get('label') ?? [],
        ...(references ? { references } : {}),
        ...(dangling === undefined ? {} : { dangling: ['1', 'true'].includes(dangling) }),
      })
      const times = async (name: string): Promise<readonly string[]> =>
        await Promise.all((filters.get(name) ?? []).map(async (ref) => (await images.get(ref)).createdAt))
      const before = [...(await times('before')), ...(filters.get('until') ?? []).map((value) => untilTime(value))]
      const since = await times('since')
      const at = (time: string): number => Date.parse(time)
      const selected = found.filter(
        ({ createdAt }) =>
          before.every((time) => at(createdAt) < at(time)) && since.every((time) => at(createdAt) > at(time)),
      )
      const shared = flag(query, 'shared-size') ? (await images.usage()).sharedBytes : undefined
      response.json(
        200,
        selected.map((image) => wireSummary(image, { sharedBytes: shared && (shared.get(image.id) ?? 0) })),
      )
    },
    'GET /images/{name*}/json': async ({ params }, response) => {
      response.json(200, wireImage(await images.get(params.name as string)))
    },
    'GET /images/{name*}/history': async ({ params }, response) => {
      const history = await images.history(params.name as string)
      response.json(
        200,
        history.map((one) => ({
          Id: one.id,
          Created: unixSeconds(one.created),
          CreatedBy: one.createdBy,
          Tags: one.tags.length > 0 ? one.tags : null,
          Size: one.sizeBytes,
          Comment: one.comment,
        })),
      )
    },
    'POST /images/{name*}/tag': async ({ params, query }, response) => {
      const repository = query.get('repo')
      if (!repository) throw badRequest('repository name must have at least one component')
      const tag = query.get('tag')
      await images.tag(params.name as string, tag ? `${repository}:${tag}` : repository)
      response.empty(201)
    },
    'DELETE /images/{name*}': async ({ params, query }, response) => {
      const result = await images.remove(params.name as string, {
        force: flag(query, 'force'),
        noPrune: flag(query, 'noprune'),
      })
      response.json(200, [
        ...result.untagged.map((Untagged) => ({ Untagged })),
        ...result.deleted.map((Deleted) => ({ Deleted })),
      ])
    },
    'POST /images/create': async (request, response) => {
      if (request.query.get('fromSrc')) return await importImage(engine, request, response)
      const { query } = request
      const name = query.get('fromImage')
      if (!name) throw badRequest('fromImage or fromSrc is required')
      const tag = query.get('tag')
      const reference = !tag ? name : tag.startsWith('sha256:') ? `${name}@${tag}` : `${name}:${tag}`
      const platform = query.get('platform')
      const before = await images.find(reference)
      const credentials = readRegistryAuth(request.headers['x-registry-auth'])
      await withProgress(response, async (emit, say) => {
        let begun = false
        const image = await images.pull(reference, {
          emit(event) {
            // Told when the registry has the image: a refusal before that has a status of its own.
            if (!begun) say({ status: `Pulling from ${name}`, id: tag || 'latest' })
            begun = true
            if (event.parentId !== undefined) emit(event)
          },
          signal: request.signal,
          credentials,
          ...(platform ? { platform } : {}),
        })
        const repository = familiarName(parseReference(reference))
        const digest = image.repoDigests.find((one) => one.startsWith(`${repository}@`))?.split('@')[1]
        if (digest) say({ status: `Digest: ${digest}` })
        const what = before?.id === image.id ? 'Image is up to date for' : 'Downloaded newer image for'
        say({ status: `Status: ${what} ${tag ? reference : `${name}:latest`}` })
      })
    },
    'POST /images/{name*}/push': async (request, response) => {
      const name = request.params.name as string
      const tag = request.query.get('tag')
      const credentials = readRegistryAuth(request.headers['x-registry-auth'])
      const repository = familiarName(parseReference(name))
      const references = tag
        ? [`${name}:${tag}`]
        : (await images.list()).flatMap((image) =>
            image.tags.filter((one) => familiarName(parseReference(one)) === repository),
          )
      if (references.length === 0) {
        throw new TcomposeError('NOT_FOUND', `An image does not exist locally with the tag: ${name}`)
      }
      await withProgress(response, async (emit, say) => {
        say({ status: `The push refers to repository [${formatReference(parseReference(name))}]` })
        for (const reference of references) {
          const pushed = parseReference(reference).tag ?? 'latest'
          let size = 0
          const digest = await images.push(reference, {
            emit(event) {
              if (event.parentId !== undefined) emit(event)
              else size = Number(/size: (\d+)/.exec(event.details ?? '')?.[1] ?? size)
            },
            signal: request.signal,
            credentials,
          })
          say({ status: `${pushed}: digest: ${digest} size: ${size}` })
          say({ progressDetail: {}, aux: { Tag: pushed, Digest: digest, Size: size } })
        }
      })
    },
    'GET /distribution/{name*}/json': async ({ params, headers, signal }, response) => {
      const credentials = readRegistryAuth(headers['x-registry-auth'])
      const { descriptor, platforms } = await images.remote(params.name as string, { signal, credentials })
      response.json(200, { Descriptor: descriptor, Platforms: platforms })
    },
    'POST /commit': async (request, response) => {
      const { query } = request
      const container = await containers.get(query.get('container') ?? '')
      const body = await request.json()
      const repository = query.get('repo')
      const tag = query.get('tag')
      const image = await commitContainer(engine, container, {
        config: readImageConfig(body),
        changes: query.getAll('changes').flatMap(lines),
        author: query.get('author') || undefined,
        message: query.get('comment') || undefined,
        pause: flag(query, 'pause', true),
        reference: repository ? (tag ? `${repository}:${tag}` : repository) : undefined,
      })
      response.json(201, { Id: image.id })
    },
    'POST /images/load': async (request, response) => {
      const quiet = flag(request.query, 'quiet')
      await withProgress(response, async (emit, say) => {
        for (const name of await images.load(request.body as Readable, quiet ? silent : emit, request.signal)) {
          const what = name.startsWith('sha256:') ? 'Loaded image ID' : 'Loaded image'
          say({ stream: `${what}: ${name}\n` })
        }
      })
    },
    'GET /images/get': async ({ query }, response) => save(engine, query.getAll('names'), response),
    'GET /images/{name*}/get': async ({ params }, response) => save(engine, [params.name as string], response),
    'POST /images/prune': async ({ query }, response) => {
      const filters = readFilters(query, ['dangling', 'label', 'label!', 'until'])
      const all = ['0', 'false'].includes(filters.get('dangling')?.[0] ?? '')
      const until = filters.get('until')?.[0]
      const { removed, bytes } = await images.prune({
        all,
        labels: filters.get('label') ?? [],
        notLabels: filters.get('label!') ?? [],
        ...(until ? { olderThan: untilTime(until) } : {}),
      })
      response.json(200, {
        ImagesDeleted: removed.length > 0 ? removed.map(wireRemoved) : null,
        SpaceReclaimed: bytes,
      })
    },
  }
}

async function importImage(engine: Engine, { query, body }: ApiRequest, response: ApiResponse): Promise<void> {
  const source = query.get('fromSrc') as string
  if (source !== '-') {
    throw new TcomposeError('UNSUPPORTED', `import from ${source} is not supported`, {
      hint: 'send the archive with fromSrc=-',
    })
  }
  const repository = query.get('repo')
  const tag = query.get('tag')
  const message = query.get('message')
  const platform = query.get('platform')
  const image = await engine.images.import(body as Readable, {
    config: parseChanges(query.getAll('changes').flatMap(lines)),
    ...(repository ? { reference: tag ? `${repository}:${tag}` : repository } : {}),
    ...(message ? { message } : {}),
    ...(platform ? { platform } : {}),
  })
  const stream = response.stream(200, 'application/json')
  await stream.write(line({ status: image.id }))
  stream.end()
}

/** Clients send instructions one by one or as the lines of one parameter. */
function lines(changes: string): readonly string[] {
  return changes.split('\n').filter((one) => one.trim() !== '')
}

/** Of what a prune removed: names were untagged, ids deleted. */
function wireRemoved(name: string): object {
  return name.startsWith('sha256:') ? { Deleted: name } : { Untagged: name }
}

async function save(engine: Engine, names: readonly string[], response: ApiResponse): Promise<void> {
  for (const name of names) await engine.images.get(name)
  response.raw.writeHead(200, { 'Content-Type': 'application/x-tar' })
  await engine.images.save(names, response.raw)
  if (!response.raw.writableEnded) response.raw.end()
}

/** Progress as lines of JSON; once they flow an error is one of them, before that it is the answer. */
async function withProgress(
  response: ApiResponse,
  work: (emit: Emit, say: (value: object) => void) => Promise<void>,
): Promise<void> {
  let stream: ResponseStream | undefined
  const say = (value: object): void => {
    stream ??= response.stream(200, 'application/json')
    stream.write(line(value)).catch(() => {})
  }
  try {
    await work((event) => {
      const detail = event.total === undefined ? {} : { current: event.current ?? 0, total: event.total }
      say({ status: event.text, progressDetail: detail, id: event.id })
    }, say)
  } catch (error) {
    if (!stream) throw error
    say({ errorDetail: { message: messageOf(error) }, error: messageOf(error) })
  }
  stream ??= response.stream(200, 'application/json')
  stream.end()
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`
}

/** An entry of the list. Counting and measuring costs: -1 where nobody asked. */
export function wireSummary(
  image: Image,
  counts: { readonly containers?: number | undefined; readonly sharedBytes?: number | undefined } = {},
): object {
  return {
    Containers: counts.containers ?? -1,
    Created: unixSeconds(image.createdAt),
    Id: image.id,
    Labels: image.config.config?.Labels ?? null,
    ParentId: '',
    RepoDigests: image.repoDigests,
    RepoTags: image.tags,
    SharedSize: counts.sharedBytes ?? -1,
    Size: image.sizeBytes,
  }
}

function wireImage(image: Image): object {
  const { config } = image
  const run = config.config ?? {}
  return {
    Id: image.id,
    RepoTags: image.tags,
    RepoDigests: image.repoDigests,
    Parent: '',
    Comment: config.history?.at(-1)?.comment ?? '',
    Created: image.createdAt,
    DockerVersion: '',
    Author: config.author ?? '',
    Config: {
      Hostname: '',
      Domainname: '',
      User: run.User ?? '',
      AttachStdin: false,
      AttachStdout: false,
      AttachStderr: false,
      ...(run.ExposedPorts ? { ExposedPorts: run.ExposedPorts } : {}),
      Tty: false,
      OpenStdin: false,
      StdinOnce: false,
      Env: run.Env ?? null,
      Cmd: run.Cmd ?? null,
      ...(run.Healthcheck ? { Healthcheck: run.Healthcheck } : {}),
      ...(run.ArgsEscaped ? { ArgsEscaped: true } : {}),
      Image: '',
      Volumes: run.Volumes ?? null,
      WorkingDir: run.WorkingDir ?? '',
      Entrypoint: run.Entrypoint ?? null,
      OnBuild: run.OnBuild ?? null,
      Labels: run.Labels ?? null,
      ...(run.StopSignal ? { StopSignal: run.StopSignal } : {}),
      ...(run.Shell ? { Shell: run.Shell } : {}),
    },
    Architecture: config.architecture,
    ...(config.variant ? { Variant: config.variant } : {}),
    Os: config.os,
    Size: image.sizeBytes,
    GraphDriver: { Data: null, Name: 'overlay2' },
    RootFS: { Type: 'layers', Layers: config.rootfs.diff_ids },
    Metadata: { LastTagTime: image.taggedAt },
  }
}
