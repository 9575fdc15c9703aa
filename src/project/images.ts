import { createLimiter } from '../base/concurrency.ts'
import { isTcomposeError, messageOf, TcomposeError } from '../base/errors.ts'
import type { Emit } from '../base/progress.ts'
import { parseReference, withDefaultTag } from '../base/reference.ts'
import type { Project, Service } from '../compose/types.ts'
import type { BuildEvent } from '../engine/build/types.ts'
import type { Engine } from '../engine/engine.ts'
import type { Image } from '../engine/images/types.ts'
import { type BuildOverrides, buildDependencies, toBuildRequest } from './build-request.ts'
import { decideImage, type ImageDecision } from './image-policy.ts'
import { imageName } from './names.ts'
import { imageVolumeReferences, type ServiceImage } from './observed.ts'

export interface ImageOptions {
  readonly emit: Emit
  readonly signal?: AbortSignal | undefined
  readonly pull?: string | undefined
  readonly build?: boolean
  readonly noBuild?: boolean
  readonly buildOverrides?: BuildOverrides
  /** Output of builds, step by step. */
  readonly onBuildEvent?: ((service: string, event: BuildEvent) => void) | undefined
  readonly onWarning?: ((message: string) => void) | undefined
  readonly insecureRegistries?: readonly string[]
  /** Builds and pulls at once. */
  readonly concurrency?: number | undefined
}

/** Pulls and builds until every service has its image. @returns the images by service */
export async function ensureImages(
  project: Project,
  engine: Engine,
  options: ImageOptions,
): Promise<ReadonlyMap<string, ServiceImage>> {
  const names = Object.keys(project.services).filter((name) => !project.services[name]?.provider)
  const nowMs = Date.now()
  const decisions = new Map<string, ImageDecision>()
  for (const name of names) {
    const service = project.services[name] as Service
    const present = await engine.images.find(imageName(project, name, service))
    decisions.set(name, decideImage(name, service, present, { ...options, nowMs }))
  }
  const builds = names.filter((name) => decisions.get(name)?.kind === 'build')
  const fallbacks = await pullAll(project, engine, decisions, options)
  await buildServices(project, engine, [...builds, ...fallbacks], options)
  await pullExtras(project, engine, options)
  const images = new Map<string, ServiceImage>()
  for (const name of names) images.set(name, await serviceImage(project, engine, name))
  return images
}

/** As the store has it. @throws TcomposeError NOT_FOUND */
async function serviceImage(project: Project, engine: Engine, name: string): Promise<ServiceImage> {
  const service = project.services[name] as Service
  const reference = imageName(project, name, service)
  const image = await engine.images.find(reference)
  if (!image) {
    throw new TcomposeError('NOT_FOUND', `No such image: ${reference}`, {
      hint: service.build ? `tcompose build ${name} makes it` : `tcompose pull ${name}, or tcompose image load`,
    })
  }
  return { id: image.id, reference, volumes: Object.keys(image.config.config?.Volumes ?? {}) }
}

/** The images as they are, without getting any: for `start`-like verbs and dry runs. */
export async function presentImages(project: Project, engine: Engine): Promise<ReadonlyMap<string, ServiceImage>> {
  const images = new Map<string, ServiceImage>()
  for (const [name, service] of Object.entries(project.services)) {
    if (service.provider) continue
    const reference = imageName(project, name, service)
    const image = await engine.images.find(reference)
    if (image) images.set(name, { id: image.id, reference, volumes: Object.keys(image.config.config?.Volumes ?? {}) })
  }
  return images
}

/** @returns the services to build because their image could not be pulled */
async function pullAll(
  project: Project,
  engine: Engine,
  decisions: ReadonlyMap<string, ImageDecision>,
  options: ImageOptions,
): Promise<readonly string[]> {
  const pulls = new Map<string, string[]>()
  for (const [name, decision] of decisions) {
    const service = project.services[name] as Service
    if (decision.kind === 'missing') {
      throw new TcomposeError('NOT_FOUND', `No such image: ${imageName(project, name, service)}`, {
        hint: decision.hint,
      })
    }
    if (decision.kind !== 'pull' && decision.kind !== 'pullOrBuild') continue
    const key = `${imageName(project, name, service)} ${service.platform ?? ''}`
    pulls.set(key, [...(pulls.get(key) ?? []), name])
  }
  const limiter = createLimiter(limitOf(options))
  const fallbacks: string[] = []
  await settleAll(
    [...pulls.values()].map((group) =>
      limiter.run(async () => {
        const first = group[0] as string
        const service = project.services[first] as Service
        const buildable = group.filter((name) => decisions.get(name)?.kind === 'pullOrBuild')
        try {
          await pullImage(engine, imageName(project, first, service), service.platform, options)
        } catch (error) {
          if (options.signal?.aborted || buildable.length === 0) throw error
          // Compose tries the registry first, and a missing image there is the usual case for what is built here.
          fallbacks.push(...buildable)
        }
      }),
    ),
  )
  return fallbacks
}

/** Pulls with `Image x Pulling` and `Pulled`. */
export async function pullImage(
  engine: Engine,
  reference: string,
  platform: string | undefined,
  options: Pick<ImageOptions, 'emit' | 'signal' | 'insecureRegistries'>,
): Promise<Image> {
  const id = `Image ${reference}`
  options.emit({ id, status: 'working', text: 'Pulling' })
  try {
    const image = await engine.images.pull(reference, {
      emit: options.emit,
      platform,
      signal: options.signal,
      insecure: isInsecure(reference, options.insecureRegistries ?? []),
    })
    options.emit({ id, status: 'done', text: 'Pulled' })
    return image
  } catch (error) {
    options.emit({ id, status: 'error', text: 'Error', details: messageOf(error) })
    throw error
  }
}

export function isInsecure(reference: string, registries: readonly string[]): boolean {
  return registries.length > 0 && registries.includes(parseReference(reference).domain)
}

/** Images that are mounted as volumes or run as `pre_start` hooks: pulled when they are missing. */
async function pullExtras(project: Project, engine: Engine, options: ImageOptions): Promise<void> {
  const hooks = Object.values(project.services).flatMap((service) =>
    (service.pre_start ?? []).flatMap((hook) => (hook.image ? [hook.image] : [])),
  )
  for (const reference of new Set([...imageVolumeReferences(project), ...hooks])) {
    if (!(await engine.images.find(reference))) await pullImage(engine, reference, undefined, options)
  }
}

/** Builds services, those whose images others start from first. */
export async function buildServices(
  project: Project,
  engine: Engine,
  names: readonly string[],
  options: ImageOptions,
): Promise<void> {
  const limiter = createLimiter(limitOf(options))
  const running = new Map<string, Promise<void>>()
  const start = (name: string): Promise<void> => {
    const known = running.get(name)
    if (known !== undefined) return known
    // A build may start from the image of a service that is not selected.
    const find = (one: string): Service | undefined => project.services[one] ?? project.disabled_services[one]
    const service = find(name) as Service
    const before = buildDependencies(service).filter((one) => find(one)?.build)
    const work = (async () => {
      // Those which a build starts from are built too, named or not.
      await Promise.all(before.map(start))
      await limiter.run(() => buildOne(project, engine, name, service, options))
    })()
    running.set(name, work)
    return work
  }
  await settleAll(names.map(start))
}

async function buildOne(
  project: Project,
  engine: Engine,
  name: string,
  service: Service,
  options: ImageOptions,
): Promise<void> {
  const reference = imageName(project, name, service)
  const id = `Image ${reference}`
  options.emit({ id, status: 'working', text: 'Building' })
  try {
    await engine.builder.build(toBuildRequest(project, name, service, options.buildOverrides), {
      emit: options.emit,
      onEvent: (event) => options.onBuildEvent?.(name, event),
      signal: options.signal,
    })
    options.onBuildEvent?.(name, {
      kind: 'step',
      id: 'naming',
      name: `naming to ${fullName(reference)}`,
      state: 'done',
    })
    options.emit({ id, status: 'done', text: 'Built' })
  } catch (error) {
    options.emit({ id, status: 'error', text: 'Error', details: messageOf(error) })
    throw error
  }
}

function fullName(reference: string): string {
  try {
    const ref = withDefaultTag(parseReference(reference))
    return `${ref.domain}/${ref.path}${ref.tag === undefined ? '' : `:${ref.tag}`}`
  } catch {
    return reference
  }
}

/** Waits for all, then throws the first failure: nothing goes on behind the back of the caller. */
async function settleAll(works: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(works)
  const failures = results.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []))
  const worst = failures.find((one) => !isTcomposeError(one, 'CANCELED')) ?? failures[0]
  if (worst !== undefined) throw worst
}

function limitOf(options: ImageOptions): number {
  return options.concurrency !== undefined && options.concurrency > 0 ? options.concurrency : 8
}
