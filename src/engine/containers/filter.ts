import { TcomposeError } from '../../base/errors.ts'
import type { Container, ContainerFilter } from './types.ts'

/** Whether a container is one of those asked for; every kind of condition must hold, within a kind any value will do. */
export function matchesFilter(container: Container, filter: ContainerFilter): boolean {
  return (
    (filter.labels ?? []).every((label) => hasLabel(container.labels, label)) &&
    anyOf(filter.statuses, (status) => container.state.status === status) &&
    anyOf(filter.names, (name) => container.name.includes(name.replace(/^\//, ''))) &&
    (filter.network === undefined || isOn(container, filter.network)) &&
    (filter.volume === undefined || mountsIt(container, filter.volume))
  )
}

/** `key` or `key=value`. */
export function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const equals = wanted.indexOf('=')
  if (equals < 0) return wanted in labels
  return labels[wanted.slice(0, equals)] === wanted.slice(equals + 1)
}

function anyOf<T>(values: readonly T[] | undefined, test: (value: T) => boolean): boolean {
  return values === undefined || values.length === 0 || values.some(test)
}

function isOn(container: Container, network: string): boolean {
  return container.endpoints.some(
    (endpoint) =>
      endpoint.networkName === network ||
      endpoint.networkId === network ||
      (network.length >= 12 && endpoint.networkId.startsWith(network)),
  )
}

function mountsIt(container: Container, volume: string): boolean {
  return container.mounts.some((mount) => mount.name === volume || mount.target === volume)
}

/** The project a filter is limited to, which has a column of its own. */
export function projectOf(filter: ContainerFilter): string | undefined {
  const prefix = 'com.docker.compose.project='
  return filter.labels?.find((label) => label.startsWith(prefix))?.slice(prefix.length)
}

export function noSuchContainer(ref: string): TcomposeError {
  return new TcomposeError('NOT_FOUND', `No such container: ${ref}`)
}
