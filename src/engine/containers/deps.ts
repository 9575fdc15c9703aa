import { isTcomposeError } from '../../base/errors.ts'
import { acquireLock, type Lock } from '../../platform/lock.ts'
import { bootId } from '../../platform/process.ts'
import type { Events } from '../events/types.ts'
import type { Images } from '../images/types.ts'
import type { Networks } from '../networks/types.ts'
import type { Database } from '../state/database.ts'
import { bundleDir, containerDir, type EnginePaths } from '../state/paths.ts'
import type { Volumes } from '../volumes/types.ts'
import type { ContainerStore, StoredContainer } from './store.ts'

/** What `createContainers` is made of. The parts are asked for when first needed: reading records loads none of them. */
export interface ContainersDeps {
  readonly db: Database
  readonly paths: EnginePaths
  readonly events: () => Promise<Events>
  readonly images: () => Promise<Images>
  readonly networks: () => Promise<Networks>
  readonly volumes: () => Promise<Volumes>
}

/** The same with what the container code shares. */
export interface ContainerContext extends ContainersDeps {
  readonly store: ContainerStore
  readonly boot: string
}

export function createContext(deps: ContainersDeps, store: ContainerStore): ContainerContext {
  let boot: string | undefined
  return {
    ...deps,
    store,
    get boot() {
      boot ??= bootId()
      return boot
    },
  }
}

export function lockContainer(context: ContainerContext, id: string, signal?: AbortSignal): Promise<Lock> {
  return acquireLock(context.db.secret, `container/${id}`, { signal })
}

/** Takes the lock if nobody holds it. */
export async function tryLockContainer(context: ContainerContext, id: string): Promise<Lock | undefined> {
  try {
    return await acquireLock(context.db.secret, `container/${id}`, { noWait: true })
  } catch (error) {
    if (isTcomposeError(error, 'CONFLICT')) return undefined
    throw error
  }
}

export function bundleOf(context: ContainerContext, id: string): string {
  return bundleDir(context.paths, id)
}

export function directoryOf(context: ContainerContext, id: string): string {
  return containerDir(context.paths, id)
}

/** Emits a `container` event with the attributes Docker gives each of them: image, name and all labels. */
export async function emitContainer(
  context: ContainerContext,
  container: Pick<StoredContainer, 'id' | 'name' | 'record'>,
  action: string,
  attributes: Readonly<Record<string, string>> = {},
): Promise<void> {
  const events = await context.events()
  events.emit({
    type: 'container',
    action,
    actorId: container.id,
    attributes: {
      ...container.record.labels,
      image: container.record.config.image,
      name: container.name,
      ...attributes,
    },
  })
}
