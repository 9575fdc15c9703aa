import type { Readable } from 'node:stream'
import { messageOf, TcomposeError } from '../../base/errors.ts'
import type { ProgressEvent } from '../../base/progress.ts'
import type { Engine } from '../../engine/engine.ts'
import type { Image } from '../../engine/images/types.ts'
import { type ApiResponse, flag, type ResponseStream, readFilters } from '../exchange.ts'
import { badRequest } from '../http-error.ts'
import type { Routes } from '../router.ts'
import { unixSeconds } from '../wire/time.ts'

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
      response.json(200, found.map(wireSummary))
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
      const { query } = request
      const source = query.get('fromSrc')
      if (source) {
        if (source !== '-') throw new TcomposeError('UNSUPPORTED', `import from ${source} is not supported`)
        const repository = query.get('repo')
        const tag = query.get('tag')
        const image = await images.import(request.body as Readable, {
          ...(repository ? { reference: tag ? `${repository}:${tag}` : repository } : {}),
          ...(query.get('message') ? { message: query.get('message') as string } : {}),
        })
        const stream = response.stream(200, 'application/json')
        await stream.write(`${JSON.stringify({ status: image.id })}\n`)
        return stream.end()
      }
      const name = query.get('fromImage')
      if (!name) throw badRequest('fromImage or fromSrc is required')
      const tag = query.get('tag')
      const reference = !tag ? name : tag.startsWith('sha256:') ? `${name}@${tag}` : `${name}:${tag}`
      await withProgress(response, async (emit, stream) => {
        await stream.write(line({ status: `Pulling from ${name}`, id: tag || 'latest' }))
        const image = await images.pull(reference, {
          emit,
          signal: request.signal,
          ...(query.get('platform') ? { platform: query.get('platform') as string } : {}),
        })
        const digest = image.repoDigests[0]?.split('@')[1]
        if (digest) await stream.write(line({ status: `Digest: ${digest}` }))
        await stream.write(line({ status: `Status: Downloaded newer image for ${reference}` }))
      })
    },
    'POST /images/{name*}/push': async (request, response) => {
      const tag = request.query.get('tag')
      const name = request.params.name as string
      await withProgress(response, async (emit, stream) => {
        const digest = await images.push(tag ? `${name}:${tag}` : name, { emit, signal: request.signal })
        await stream.write(
          line({ status: `${tag || 'latest'}: digest: ${digest}`, aux: { Tag: tag || 'latest', Digest: digest } }),
        )
      })
    },
    'POST /images/load': async (request, response) => {
      await withProgress(response, async (emit, stream) => {
        for (const name of await images.load(request.body as Readable, emit, request.signal)) {
          const what = name.startsWith('sha256:') ? 'Loaded image ID' : 'Loaded image'
          await stream.write(line({ stream: `${what}: ${name}\n` }))
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
        ...(until ? { olderThan: until } : {}),
      })
      response.json(200, {
        ImagesDeleted: removed.length > 0 ? removed.map((Deleted) => ({ Deleted })) : null,
        SpaceReclaimed: bytes,
      })
    },
    'GET /system/df': async (_, response) => {
      const [allImages, allContainers, volumes] = await Promise.all([
        images.list(),
        containers.list(),
        engine.volumes.list(),
      ])
      response.json(200, {
        LayersSize: allImages.reduce((sum, image) => sum + image.sizeBytes, 0),
        Images: allImages.map(wireSummary),
        Containers: allContainers.map((one) => ({
          Id: one.id,
          Names: [`/${one.name}`],
          Image: one.config.image,
          SizeRw: 0,
        })),
        Volumes: volumes.map((one) => ({ Name: one.name, Driver: one.driver, UsageData: { Size: -1, RefCount: -1 } })),
        BuildCache: [],
      })
    },
  }
}

async function save(engine: Engine, names: readonly string[], response: ApiResponse): Promise<void> {
  for (const name of names) await engine.images.get(name)
  response.raw.writeHead(200, { 'Content-Type': 'application/x-tar' })
  await engine.images.save(names, response.raw)
  if (!response.raw.writableEnded) response.raw.end()
}

/** Progress as lines of JSON; once they flow an error is one of them. */
async function withProgress(
  response: ApiResponse,
  work: (emit: (event: ProgressEvent) => void, stream: ResponseStream) => Promise<void>,
): Promise<void> {
  const stream = response.stream(200, 'application/json')
  const emit = (event: ProgressEvent): void => {
    const detail = event.total === undefined ? {} : { current: event.current ?? 0, total: event.total }
    stream.write(line({ status: event.text, progressDetail: detail, id: event.id })).catch(() => {})
  }
  try {
    await work(emit, stream)
  } catch (error) {
    await stream.write(line({ errorDetail: { message: messageOf(error) }, error: messageOf(error) }))
  }
  stream.end()
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`
}

function wireSummary(image: Image): object {
  return {
    Containers: -1,
    Created: unixSeconds(image.createdAt),
    Id: image.id,
    Labels: image.config.config?.Labels ?? null,
    ParentId: '',
    RepoDigests: image.repoDigests,
    RepoTags: image.tags,
    SharedSize: -1,
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
