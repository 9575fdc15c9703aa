import { familiarName, familiarReference, parseReference } from '../../base/reference.ts'
import type { Layer } from '../layers/types.ts'
import type { Image, Images } from './types.ts'

type Filter = NonNullable<Parameters<Images['list']>[0]>

/** Newest first, as `docker images` lists them. */
export function listImages(images: readonly Image[], filter: Filter): readonly Image[] {
  return images
    .filter(
      (image) =>
        (filter.dangling === undefined || (image.tags.length === 0) === filter.dangling) &&
        hasLabels(image, filter.labels ?? []) &&
        (filter.references === undefined || filter.references.some((pattern) => matchesReference(image, pattern))),
    )
    .toSorted((a, b) => (a.createdAt < b.createdAt ? 1 : a.createdAt > b.createdAt ? -1 : a.id < b.id ? -1 : 1))
}

/** Each `key` or `key=value`; all must match. */
export function hasLabels(image: Image, labels: readonly string[]): boolean {
  const own = image.config.config?.Labels ?? {}
  return labels.every((label) => {
    const equals = label.indexOf('=')
    if (equals < 0) return Object.hasOwn(own, label)
    const key = label.slice(0, equals)
    return Object.hasOwn(own, key) && own[key] === label.slice(equals + 1)
  })
}

/** Docker's `reference` filter: a path pattern for the familiar name, with or without a tag. */
function matchesReference(image: Image, pattern: string): boolean {
  const expression = patternOf(pattern)
  return [...image.tags, ...image.repoDigests].some((text) => {
    const reference = parseReference(text)
    return expression.test(familiarReference(reference)) || expression.test(familiarName(reference))
  })
}

function patternOf(glob: string): RegExp {
  let source = ''
  for (let index = 0; index < glob.length; index++) {
    const character = glob[index] as string
    if (character === '*') source += '[^/]*'
    else if (character === '?') source += '[^/]'
    else if (character === '[' && glob.includes(']', index + 1)) {
      const end = glob.indexOf(']', index + 1)
      source += `[${glob.slice(index + 1, end).replaceAll('\\', '\\\\')}]`
      index = end
    } else source += character.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  }
  return new RegExp(`^${source}$`)
}

/** Rows of `docker history`, newest first; only the top one has an id. `layers` bottom first. */
export function imageHistory(image: Image, layers: readonly Layer[]): Awaited<ReturnType<Images['history']>> {
  const steps = image.config.history ?? layers.map(() => ({}))
  let used = 0
  const rows = steps.map((step) => {
    const {
      created,
      created_by: createdBy,
      comment,
      empty_layer: isEmpty,
    } = step as NonNullable<typeof image.config.history>[number]
    const sizeBytes = isEmpty ? 0 : (layers[used++]?.sizeBytes ?? 0)
    return {
      id: '<missing>',
      created: created ?? '',
      createdBy: createdBy ?? '',
      sizeBytes,
      comment: comment ?? '',
      tags: [] as readonly string[],
    }
  })
  return rows.toReversed().map((row, index) => (index === 0 ? { ...row, id: image.id, tags: image.tags } : row))
}
