import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { writeFileAtomic } from '../platform/files.ts'
import { bootId } from '../platform/process.ts'
import { spreadDirectories } from '../runtime/fs-worker.ts'
import { createContainers } from './containers/containers.ts'
import type { Engine } from './engine.ts'
import { createEvents } from './events/create-events.ts'
import type { Images } from './images/types.ts'
import type { Networks } from './networks/types.ts'
import { openDatabase } from './state/database.ts'
import { type EnginePaths, enginePaths } from './state/paths.ts'
import type { Volumes } from './volumes/types.ts'

export interface OpenOptions {
  /** TCOMPOSE_ROOT and TCOMPOSE_RUN say where; see `enginePaths`. */
  readonly env: NodeJS.ProcessEnv
}

/**
 * Opens the engine on a state root, which is made if need be. Cheap: parts are loaded when first used, and repair is
 * done only when a look at records and /proc shows that something is broken, or the machine was booted since.
 */
export async function openEngine(options: OpenOptions): Promise<Engine> {
  const paths = enginePaths(options.env)
  const isNew = !existsSync(paths.database)
  makeDirectories(paths)
  const db = openDatabase(paths.database)
  const events = createEvents(db, paths)

  const once = <T>(load: () => Promise<T>): (() => Promise<T>) => {
    let part: Promise<T> | undefined
    return () => {
      part ??= load()
      return part
    }
  }
  const images = once<Images>(async () => {
    const { createImages } = await import('./images/images.ts')
    return createImages({ db, paths, events, env: options.env })
  })
  const networks = once<Networks>(async () => {
    const { createNetworks } = await import('./networks/networks.ts')
    return createNetworks({ db, paths, events })
  })
  const volumes = once<Volumes>(async () => {
    const { createVolumes } = await import('./volumes/volumes.ts')
    return createVolumes({ db, paths, events })
  })
  const containers = createContainers({ db, paths, images, networks, volumes, events: async () => events })

  let closed = false
  const engine: Engine = {
    paths,
    containers,
    images: deferred(images),
    networks: deferred(networks),
    volumes: deferred(volumes),
    builder: deferred(async () => {
      const { createBuilder } = await import('./build/builder.ts')
      return createBuilder({ db, paths, images: await images(), networks: await networks(), env: options.env })
    }),
    events,
    async reconcile() {
      await containers.reconcile()
      // Containers first: whoever has ended no longer holds a volume, an address or an image.
      for (const part of [networks, volumes, images]) await (await part()).reconcile()
    },
    async [Symbol.asyncDispose]() {
      if (closed) return
      closed = true
      db[Symbol.dispose]()
    },
  }
  await repairIfNeeded(engine, containers, isNew)
  return engine
}

function makeDirectories(paths: EnginePaths): void {
  const own = [paths.root, paths.run, paths.bundles, paths.runcRoot, paths.containers]
  const data = [paths.blobs, paths.layers, paths.volumes, paths.temporary, paths.cacheMounts]
  const made = [...own, ...data].filter((path) => !existsSync(path))
  for (const path of made) mkdirSync(path, { recursive: true, mode: 0o700 })
  spreadDirectories(
    made.filter((path) => path === paths.temporary || path === paths.layers || path === paths.containers),
  )
}

type Repairable = ReturnType<typeof createContainers>

/**
 * After a boot nothing of ours is in the kernel any more: bridges and rules are made again and whoever ran is recorded
 * as ended. Within one, only what containers left is looked at; the rest repairs itself where it is used.
 */
async function repairIfNeeded(engine: Engine, containers: Repairable, isNew: boolean): Promise<void> {
  const marker = `${engine.paths.run}/boot`
  const boot = bootId()
  if (readMarker(marker) !== boot) {
    if (!isNew) await engine.reconcile()
    writeFileAtomic(marker, boot, { durable: false })
  } else if (containers.needsRepair()) {
    await containers.reconcile()
  }
}

function readMarker(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** A part of which every method answers with a promise, loaded by the first call of one. */
function deferred<T extends object>(load: () => Promise<T>): T {
  return new Proxy({} as T, {
    get(_, name) {
      if (name === 'then' || typeof name === 'symbol') return undefined
      return async (...values: unknown[]) => {
        const part = await load()
        const method = part[name as keyof T] as (...values: unknown[]) => unknown
        return await method.apply(part, values)
      }
    },
  })
}
