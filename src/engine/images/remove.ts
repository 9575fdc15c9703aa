import { type Digest, shortId } from '../../base/digest.ts'
import { TcomposeError } from '../../base/errors.ts'
import {
  familiarName,
  familiarReference,
  formatReference,
  parseReference,
  withDefaultTag,
} from '../../base/reference.ts'
import { removePartials } from '../content/partial.ts'
import type { ImageStore } from './images.ts'
import { hasLabels } from './listing.ts'
import type { Image, Images } from './types.ts'

interface Removal {
  readonly untagged: string[]
  readonly deleted: string[]
}

/**
 * Removes a reference, and the image with its last one, by Docker's rules. An image that a stopped container was made
 * from loses its names when forced and goes when that container does.
 */
export async function removeImage(
  store: ImageStore,
  ref: string,
  options: { readonly force?: boolean; readonly noPrune?: boolean },
): ReturnType<Images['remove']> {
  const removal: Removal = { untagged: [], deleted: [] }
  const image = store.db.transaction(() => {
    const found = store.records.get(ref)
    decide(store, found, ref, options.force ?? false, removal)
    return found
  })
  if (removal.deleted.length > 0) {
    const { removed } = await store.layers.collect()
    removal.deleted.push(...removed)
  }
  store.db.flush()
  for (const name of removal.untagged) store.emit('untag', image.id, { name })
  if (removal.deleted.length > 0) store.emit('delete', image.id, { name: image.id })
  return removal
}

function decide(store: ImageStore, image: Image, ref: string, force: boolean, removal: Removal): void {
  const { records } = store
  const untag = (reference: string) => {
    records.untag(reference)
    removal.untagged.push(familiarReference(parseReference(reference)))
  }
  const names = records.references(image.id)
  const named = names.find((name) => name === fullName(ref))
  if (named === undefined) {
    if (!isSingle(names)) {
      if (!force) {
        throw refusal(
          `unable to delete ${shortId(image.id)} (must be forced) - image is referenced in multiple repositories`,
        )
      }
    }
    refuseIfUsed(store, image.id, force)
    for (const name of names) untag(name)
    erase(store, image.id, removal)
    return
  }
  const [user] = usersOf(store, image.id)
  if (user && !force && isSingle(names)) {
    throw refusal(
      `unable to remove repository reference ${JSON.stringify(ref)} (must force) - container ${shortId(user.id)} is using its referenced image ${shortId(image.id)}`,
    )
  }
  untag(named)
  // Digests of a repository whose last tag is gone name nothing that anybody asked for.
  const repository = familiarName(parseReference(named))
  const left = records.references(image.id)
  const same = left.filter((name) => familiarName(parseReference(name)) === repository)
  if (!named.includes('@') && same.every((name) => name.includes('@'))) for (const name of same) untag(name)
  if (records.references(image.id).length === 0) erase(store, image.id, removal)
}

function erase(store: ImageStore, id: Digest, removal: Removal): void {
  if (usersOf(store, id).length > 0) return
  store.records.delete(id)
  removal.deleted.push(id)
}

/** One tag at most, and everything within one repository. */
function isSingle(names: readonly string[]): boolean {
  if (names.length <= 1) return true
  const repositories = new Set(names.map((name) => familiarName(parseReference(name))))
  return repositories.size === 1 && names.filter((name) => !name.includes('@')).length <= 1
}

function fullName(ref: string): string | undefined {
  try {
    const name = parseReference(ref)
    return formatReference(name.digest === undefined ? withDefaultTag(name) : { ...name, tag: undefined })
  } catch {
    return undefined
  }
}

interface User {
  readonly id: string
  readonly running: boolean
}

/** Containers made from the image. */
function usersOf({ db }: ImageStore, id: Digest): readonly User[] {
  return db.all('SELECT id, state FROM containers WHERE image_id = ?', id).map((row) => {
    const { status } = JSON.parse(String(row.state)) as { status?: string }
    return { id: String(row.id), running: status === 'running' || status === 'paused' || status === 'restarting' }
  })
}

function refuseIfUsed(store: ImageStore, id: Digest, force: boolean): void {
  const users = usersOf(store, id)
  const running = users.find((user) => user.running)
  if (running) {
    throw refusal(
      `unable to delete ${shortId(id)} (cannot be forced) - image is being used by running container ${shortId(running.id)}`,
    )
  }
  const [stopped] = users
  if (stopped && !force) {
    throw refusal(
      `unable to delete ${shortId(id)} (must be forced) - image is being used by stopped container ${shortId(stopped.id)}`,
    )
  }
}

function refusal(text: string): TcomposeError {
  return new TcomposeError('CONFLICT', `conflict: ${text}`)
}

/**
 * Removes images that no container has: those without a tag, with `all` the others too. `removed` has the
 * names that went, then the ids of images and layers.
 */
export async function pruneImages(
  store: ImageStore,
  options: NonNullable<Parameters<Images['prune']>[0]>,
): ReturnType<Images['prune']> {
  const before = options.olderThan === undefined ? undefined : Date.parse(options.olderThan)
  const removed: string[] = []
  store.db.transaction(() => {
    for (const image of store.records.list()) {
      if (!options.all && image.tags.length > 0) continue
      if (before !== undefined && !(Date.parse(image.createdAt) < before)) continue
      if (!hasLabels(image, options.labels ?? []) || usersOf(store, image.id).length > 0) continue
      if (options.notLabels?.some((label) => hasLabels(image, [label]))) continue
      for (const name of [...image.tags, ...image.repoDigests]) removed.push(name)
      store.records.delete(image.id)
      removed.push(image.id)
    }
  })
  const layers = await store.layers.collect()
  const downloads = await removePartials(store.paths, true)
  store.db.flush()
  store.emit('prune', '', { reclaimed: String(layers.bytes) })
  return { removed: [...removed, ...layers.removed], bytes: layers.bytes + downloads }
}
