import { TcomposeError } from '../../base/errors.ts'
import { type ContainerContext, type ContainersDeps, createContext, emitContainer, lockContainer } from './deps.ts'
import { renameEndpoints } from './endpoints.ts'
import { matchesFilter, noSuchContainer, projectOf } from './filter.ts'
import { isBroken, observeContainer } from './observe.ts'
import { createContainerStore, type StoredContainer } from './store.ts'
import type { Container, Containers } from './types.ts'

export interface NeedsRepair {
  /** Whether `reconcile` has something to mend; costs one query and a look at /proc for each running container. */
  needsRepair(): boolean
}

/**
 * The containers of a state root. Reading the records needs nothing but the database; whatever does something is
 * loaded with the first call that does it.
 */
export function createContainers(deps: ContainersDeps): Containers & NeedsRepair {
  const context = createContext(deps, createContainerStore(deps.db))
  const { store } = context

  const stored = (ref: string): StoredContainer => {
    const found = store.resolve(ref)
    if (!found || found.state.phase === 'creating') throw noSuchContainer(ref)
    return found
  }
  const observed = (row: StoredContainer): Container => observeContainer(row, context.paths, context.boot)
  const byId = (id: string): Container => {
    const found = store.byId(id)
    if (!found) throw noSuchContainer(id)
    return observed(found)
  }

  const logBatches: Containers['logBatches'] = async function* (ref, query, signal) {
    const container = observed(stored(ref))
    const { assertReadableLog, readLogBatches } = await import('./logs.ts')
    assertReadableLog(container.spec.log?.driver ?? 'json-file')
    const isRunning = (): boolean => {
      const row = store.byId(container.id)
      return row !== undefined && isLive(observed(row))
    }
    yield* readLogBatches(container.logPath, query, isRunning, signal)
  }

  return {
    async create(spec, options) {
      const { createContainer } = await import('./create.ts')
      return byId(await createContainer(context, spec, options))
    },
    get: async (ref) => observed(stored(ref)),
    async find(ref) {
      const found = store.resolve(ref)
      return found && found.state.phase !== 'creating' ? observed(found) : undefined
    },
    async list(filter = {}) {
      return store
        .all({ project: projectOf(filter) })
        .filter((row) => row.state.phase !== 'creating')
        .map(observed)
        .filter((container) => matchesFilter(container, filter))
        .toSorted((a, b) => (a.createdAt < b.createdAt ? 1 : a.createdAt > b.createdAt ? -1 : 0))
    },
    async start(ref, options) {
      const { id } = stored(ref)
      const { startContainer } = await import('./start.ts')
      await startContainer(context, id, options)
      return byId(id)
    },
    async stop(ref, options) {
      const { stopContainer } = await import('./stop.ts')
      await stopContainer(context, stored(ref).id, options)
    },
    async kill(ref, signal = 'SIGKILL') {
      const { killContainer } = await import('./stop.ts')
      await killContainer(context, stored(ref), signal)
    },
    async restart(ref, options) {
      const { restartContainer } = await import('./restart.ts')
      await restartContainer(context, stored(ref), options)
    },
    async pause(ref) {
      const { pauseContainer } = await import('./pause.ts')
      await pauseContainer(context, stored(ref).id)
    },
    async unpause(ref) {
      const { unpauseContainer } = await import('./pause.ts')
      await unpauseContainer(context, stored(ref).id)
    },
    async wait(ref, options = {}) {
      const { waitContainer } = await import('./wait.ts')
      return await waitContainer(context, stored(ref), options.condition ?? 'not-running', options.signal)
    },
    async remove(ref, options = {}) {
      const { removeContainer } = await import('./remove.ts')
      await removeContainer(context, stored(ref), options)
    },
    rename: (ref, name) => rename(context, stored(ref), name),
    async update(ref, change) {
      const { updateContainer } = await import('./update.ts')
      await updateContainer(context, stored(ref).id, change)
    },
    async connect(ref, endpoint) {
      const { connectNetwork } = await import('./network-change.ts')
      await connectNetwork(context, stored(ref).id, endpoint)
    },
    async disconnect(ref, network) {
      const { disconnectNetwork } = await import('./network-change.ts')
      await disconnectNetwork(context, stored(ref).id, network)
    },
    async exec(ref, spec) {
      const { execInContainer } = await import('./exec.ts')
      return await execInContainer(context, stored(ref), spec)
    },
    async attach(ref) {
      const { attachContainer } = await import('./attach.ts')
      return await attachContainer(context, stored(ref))
    },
    async *logs(ref, query, signal) {
      for await (const batch of logBatches(ref, query, signal)) yield* batch
    },
    logBatches,
    async stats(ref) {
      const { readStats } = await import('./stats.ts')
      return await readStats(observed(stored(ref)))
    },
    async top(ref, psArgs) {
      const { readTop } = await import('./top.ts')
      return await readTop(observed(stored(ref)), psArgs)
    },
    async statPath(ref, path) {
      const { statContainerPath } = await import('./archive.ts')
      return await statContainerPath(context, stored(ref), path)
    },
    async readArchive(ref, path) {
      const { readContainerArchive } = await import('./archive.ts')
      return await readContainerArchive(context, stored(ref), path)
    },
    async writeArchive(ref, path, tar, options = {}) {
      const { writeContainerArchive } = await import('./archive.ts')
      await writeContainerArchive(context, stored(ref), path, tar, options)
    },
    async removePaths(ref, paths) {
      const { removeContainerPaths } = await import('./archive.ts')
      await removeContainerPaths(context, stored(ref), paths)
    },
    async export(ref) {
      const { exportContainer } = await import('./archive.ts')
      return await exportContainer(context, stored(ref))
    },
    async exportChanges(ref) {
      const { exportContainerChanges } = await import('./archive.ts')
      return exportContainerChanges(context, stored(ref))
    },
    async writtenBytes(ref, signal) {
      const { containerWrittenBytes } = await import('./archive.ts')
      return await containerWrittenBytes(context, stored(ref), signal)
    },
    async changes(ref) {
      const { containerChanges } = await import('./archive.ts')
      return await containerChanges(context, stored(ref))
    },
    async settle(ref) {
      const found = store.resolve(ref)
      if (!found) return undefined
      const { settle } = await import('./settle.ts')
      const settled = await settle(context, found.id)
      return settled && observed(settled)
    },
    async setHealth(ref, health) {
      await change(context, ref, (row) => (isLive(row) ? { ...row.state, health } : undefined))
    },
    async markRestarting(ref, restarting) {
      await change(context, ref, ({ state }) => {
        const from = restarting ? 'exited' : 'restarting'
        if (state.status !== from || (restarting && state.stoppedByUser)) return undefined
        return { ...state, status: restarting ? 'restarting' : 'exited' }
      })
    },
    async startAgain(ref, signal) {
      const found = store.resolve(ref)
      if (!found) return undefined
      const { startContainer } = await import('./start.ts')
      const started = await startContainer(context, found.id, { signal, again: true })
      return started ? byId(found.id) : undefined
    },
    needsRepair: () => store.all().some((row) => isBroken(row, context.paths, context.boot)),
    async reconcile() {
      const { reconcileContainers } = await import('./reconcile.ts')
      await reconcileContainers(context)
    },
  }
}

function isLive(container: { readonly state: { readonly status: string } }): boolean {
  return container.state.status === 'running' || container.state.status === 'paused'
}

/** Reads and writes a state in one transaction: for changes that need nothing but the record. */
async function change(
  context: ContainerContext,
  ref: string,
  next: (row: StoredContainer) => StoredContainer['state'] | undefined,
): Promise<void> {
  context.db.transaction(() => {
    const row = context.store.resolve(ref)
    const state = row && next(row)
    if (row && state) context.store.setState(row.id, state)
  })
}

async function rename(context: ContainerContext, before: StoredContainer, given: string): Promise<void> {
  const name = given.replace(/^\//, '')
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) {
    throw new TcomposeError('INVALID', `Invalid container name (${given}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`)
  }
  const { id } = before
  await using _lock = await lockContainer(context, id)
  const stored = context.store.byId(id)
  if (!stored) throw noSuchContainer(id)
  if (stored.name === name) {
    throw new TcomposeError('INVALID', 'Renaming a container with the same name as its current name')
  }
  context.db.transaction(() => {
    context.store.setName(id, name)
    renameEndpoints(context, id, stored.name, name)
  })
  await emitContainer(context, { ...stored, name }, 'rename', { oldName: `/${stored.name}` })
}
