import { availableParallelism } from 'node:os'
import { createLimiter } from '../../base/concurrency.ts'
import { parseDurationMs } from '../../base/duration.ts'
import { TcomposeError, throwIfAborted } from '../../base/errors.ts'
import { expand } from '../../dockerfile/expand.ts'
import type { Stage } from '../../dockerfile/instructions.ts'
import { lintDockerfile } from '../../dockerfile/lint.ts'
import { parseDockerfile } from '../../dockerfile/parse.ts'
import { readStages } from '../../dockerfile/stages.ts'
import { didYouMean } from '../../dockerfile/suggest.ts'
import { hostPlatform, type Platform, parsePlatform } from '../content/manifest.ts'
import type { Images } from '../images/types.ts'
import { createLayers } from '../layers/layers.ts'
import type { Layers } from '../layers/types.ts'
import type { Networks } from '../networks/types.ts'
import type { Database } from '../state/database.ts'
import type { EnginePaths } from '../state/paths.ts'
import { automaticArgs, globalArgs } from './build-args.ts'
import type { BuildRun, External } from './build-run.ts'
import { createContextTree } from './context-tree.ts'
import { contextDirectory, loadExternal } from './external.ts'
import { createFileDigests } from './file-digests.ts'
import { loadDockerfile } from './load-dockerfile.ts'
import { writeOutputs } from './outputs.ts'
import { boundCache, cacheEntries, pruneCache } from './prune.ts'
import { buildStage } from './stage.ts'
import { neededStages } from './stage-needs.ts'
import type { StageState } from './stage-state.ts'
import { createStepCache } from './step-cache.ts'
import type { BuildEvent, Builder, BuildRequest, BuildResult } from './types.ts'

export interface BuilderDeps {
  readonly db: Database
  readonly paths: EnginePaths
  readonly images: Images
  readonly networks: Networks
  readonly env: NodeJS.ProcessEnv
  readonly layers?: Layers
}

export function createBuilder(deps: BuilderDeps): Builder {
  const layers = deps.layers ?? createLayers({ db: deps.db, paths: deps.paths })
  const cache = createStepCache(deps.db, layers)
  return {
    build: (request, options) => build({ ...deps, layers, cache }, request, options),
    cached: async () => cacheEntries(deps.db),
    prune: (options = {}) =>
      pruneCache(
        { ...deps, layers },
        { ...options, olderThanMs: options.olderThan === undefined ? undefined : parseDurationMs(options.olderThan) },
      ),
  }
}

type Shared = BuilderDeps & Pick<BuildRun, 'layers' | 'cache'>
type BuildOptions = Parameters<Builder['build']>[1]

async function build(shared: Shared, request: BuildRequest, options: BuildOptions): Promise<BuildResult> {
  throwIfAborted(options.signal)
  refuseUnsupported(request)
  using _operation = shared.layers.operation()
  await using undo = new AsyncDisposableStack()
  const abort = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, abort.signal]) : abort.signal
  const onEvent = (event: BuildEvent) => options.onEvent?.(event)
  const platform = platformOf(request)
  const reading = { ...shared, request, platform, signal, emit: options.emit, onEvent }
  const directory = needsContext(request) ? await contextDirectory(reading, request.context, undo) : undefined
  const loaded = loadDockerfile(request, directory)
  const given = request.args ?? {}

  const ast = parseDockerfile(loaded.text, loaded.name)
  const file = readStages(ast, loaded.name)
  const args = globalArgs(
    file,
    given,
    automaticArgs(hostPlatform(), platform, request.target ?? file.stages.at(-1)?.name ?? ''),
  )
  const environments = await baseEnvironments(shared.images, file.stages, args.values)
  const linted = lintDockerfile(loaded.text, {
    args: given,
    ignore: loaded.ignore,
    target: request.target,
    baseEnv: (image) => environments.get(image),
  })
  const warnings: BuildResult['warnings'][number][] = linted.warnings.map((warning) => ({
    kind: 'warning' as const,
    rule: warning.rule,
    message: warning.detail,
    line: warning.line,
    url: warning.url,
  }))
  if ((request.cacheFrom?.length ?? 0) + (request.cacheTo?.length ?? 0) > 0) warnings.push(CACHE_NOT_MOVED)
  for (const warning of warnings) onEvent(warning)
  if (linted.isError && linted.warnings.length > 0) {
    throw new TcomposeError(
      'INVALID',
      `lint violation found for rules: ${[...new Set(warnings.map((w) => w.rule))].join(', ')}`,
    )
  }
  if (request.check) return { warnings }
  const target = targetIndex(file.stages, request.target, loaded.name)

  const digests = createFileDigests(shared.db)
  const limiter = createLimiter(Math.max(2, availableParallelism()))
  const stages = new Map<number, Promise<StageState>>()
  const externals = new Map<string, Promise<External>>()
  const run: BuildRun = {
    ...reading,
    file,
    source: { name: loaded.name, text: loaded.text },
    args,
    given,
    epoch: epochOf(given.SOURCE_DATE_EPOCH ?? args.values.get('SOURCE_DATE_EPOCH')),
    startedAt: new Date(),
    limit: (task) => limiter.run(task),
    stage(index) {
      const known = stages.get(index)
      if (known !== undefined) return known
      const result = buildStage(run, index)
      // The first failure ends what is under way beside it.
      result.catch(() => abort.abort())
      stages.set(index, result)
      return result
    },
    async context() {
      if (directory === undefined) throw new TcomposeError('INVALID', 'there is no build context')
      return createContextTree({ root: directory, ignore: loaded.ignore, digests, description: 'the build context' })
    },
    external(name) {
      const known = externals.get(name) ?? loadExternal(run, name, undo)
      externals.set(name, known)
      return known
    },
    findStage(name, before) {
      // A named context stands in for a stage of its name.
      if (Object.keys(request.contexts ?? {}).some((each) => each.toLowerCase() === name.toLowerCase()))
        return undefined
      for (let index = before - 1; index >= 0; index--) {
        if (file.stages[index]?.name === name.toLowerCase() && name !== '') return index
      }
      return undefined
    },
    stageName: (stage, index) => stage.name || `stage-${index}`,
  }
  const needed = neededStages(run, target)
  const all = needed.map((index) => run.stage(index))
  const settled = await Promise.allSettled(all)
  // What came first is the cause; the others were only interrupted by it.
  const failures = settled.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []))
  const cause = failures.find((error) => !(error instanceof TcomposeError && error.code === 'CANCELED')) ?? failures[0]
  digests.save()
  if (cause !== undefined) throw cause
  const state = await run.stage(target)
  const imageId = await writeOutputs(run, state)
  await boundCache(shared)
  return { ...(imageId === undefined ? {} : { imageId }), warnings }
}

/** Names in the environments of the base images that are here. */
async function baseEnvironments(
  images: Images,
  stages: readonly Stage[],
  values: ReadonlyMap<string, string>,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, readonly string[]>()
  for (const { base } of stages) {
    const name = expandOptional(base, values)
    if (name === undefined || found.has(name)) continue
    const image = await images.find(name).catch(() => undefined)
    if (image)
      found.set(name, ['PATH', ...(image.config.config?.Env ?? []).map((entry) => entry.split('=')[0] as string)])
  }
  return found
}

function expandOptional(text: string, values: ReadonlyMap<string, string>): string | undefined {
  try {
    return expand(text, (key) => values.get(key)).text
  } catch (error) {
    // What is wrong with it is said where it is used.
    if (error instanceof TcomposeError) return undefined
    throw error
  }
}

/** A build that asks for it works all the same, from this machine's cache. */
const CACHE_NOT_MOVED = {
  kind: 'warning',
  rule: 'CacheNotMoved',
  message: 'cache_from and cache_to are not supported: only the cache of this machine is used',
  line: 0,
} as const

function refuseUnsupported(request: BuildRequest): void {
  const attestations = Object.entries(request.attestations ?? {}).filter(
    ([, value]) => value !== 'false' && !/disabled=true/.test(value),
  )
  const [first] = attestations
  if (first) throw new TcomposeError('UNSUPPORTED', `build attestations (${first[0]}) are not supported`)
  if ((request.platforms ?? []).length > 1) {
    throw new TcomposeError(
      'UNSUPPORTED',
      `building for several platforms at once is not supported: ${request.platforms?.join(', ')}`,
    )
  }
}

function needsContext(request: BuildRequest): boolean {
  return request.context.kind !== 'image' && request.context.kind !== 'oci-layout'
}

function platformOf(request: BuildRequest): Platform {
  const [text] = request.platforms ?? []
  return text === undefined || text === 'local' ? hostPlatform() : parsePlatform(text)
}

/** @throws TcomposeError INVALID */
function epochOf(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined
  if (!/^\d+$/.test(text)) throw new TcomposeError('INVALID', `invalid SOURCE_DATE_EPOCH: ${text}`)
  return Number(text)
}

/** The stage to build: the named one, or the last. @throws TcomposeError NOT_FOUND */
function targetIndex(stages: readonly Stage[], target: string | undefined, file: string): number {
  if (stages.length === 0) throw new TcomposeError('INVALID', 'dockerfile contains no stages to build', { at: file })
  if (target === undefined || target === '') return stages.length - 1
  const index = stages.findLastIndex((stage) => stage.name === target.toLowerCase())
  if (index >= 0) return index
  const names = stages.map((stage) => stage.name).filter((name) => name !== '')
  throw new TcomposeError(
    'NOT_FOUND',
    `target stage ${JSON.stringify(target)} could not be found${didYouMean(target, names)}`,
  )
}
