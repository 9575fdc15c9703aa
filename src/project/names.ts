import type { Project, Service } from '../compose/types.ts'
import type { Container } from '../engine/containers/types.ts'
import { LABEL } from './labels.ts'

/** `-`, or `_` with `--compatibility`. */
export type Separator = '-' | '_'

/** `<project>-<service>-<n>`, or the service's own `container_name`. */
export function containerName(
  project: string,
  service: string,
  own: Service,
  number: number,
  separator: Separator,
): string {
  return own.container_name || `${project}${separator}${service}${separator}${number}`
}

/** The image of a service: its `image`, else what a build of it is called. */
export function imageName(project: Project, name: string, service: Service, separator: Separator = '-'): string {
  return service.image || `${project.name}${separator}${name}`
}

/** The container's number in its service; 0 for a one-off. */
export function numberOf(container: Container): number {
  const number = Number(container.labels[LABEL.number])
  return Number.isInteger(number) ? number : 0
}

export function serviceOf(container: Container): string {
  return container.labels[LABEL.service] ?? ''
}

export function isOneOff(container: Container): boolean {
  return container.labels[LABEL.oneOff] === 'True'
}

/**
 * What stands before a container's log lines: its name without the project, or the whole of a `container_name`.
 */
export function shortName(container: Pick<Container, 'name' | 'labels'>): string {
  const project = container.labels[LABEL.project] ?? ''
  for (const separator of ['-', '_']) {
    if (container.name.startsWith(`${project}${separator}`)) return container.name.slice(project.length + 1)
  }
  return container.name
}

/** The smallest number above all that are there; gaps are not used again. */
export function nextNumber(containers: readonly Container[]): number {
  return Math.max(0, ...containers.map(numberOf)) + 1
}

/** How many containers the service is to have. */
export function scaleOf(service: Service): number {
  return service.scale ?? service.deploy?.replicas ?? 1
}
