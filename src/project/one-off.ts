import { readFileSync } from 'node:fs'
import { TcomposeError } from '../base/errors.ts'
import { serviceHash } from '../compose/hash.ts'
import type { Project, Service } from '../compose/types.ts'
import type { ContainerSpec, MountSpec, PortSpec } from '../engine/containers/spec.ts'
import { containerLabels, imageVolumeDigest } from './container-labels.ts'
import { toVolumesFrom, type VolumesFrom } from './container-mounts.ts'
import { toContainerSpec, toPorts } from './container-spec.ts'
import { imageName, numberOf } from './names.ts'
import type { Observed } from './observed.ts'
import { containersOf } from './plan-state.ts'

export interface OneOffOptions {
  readonly command?: readonly string[] | undefined
  /** Clears the command of the service. */
  readonly entrypoint?: readonly string[] | undefined
  /** `K=V` */
  readonly env?: readonly string[]
  readonly user?: string | undefined
  readonly workingDir?: string | undefined
  readonly name?: string | undefined
  readonly labels?: Readonly<Record<string, string>>
  readonly capAdd?: readonly string[]
  readonly capDrop?: readonly string[]
  readonly mounts?: readonly MountSpec[]
  /** The service's own ports too. */
  readonly servicePorts?: boolean
  readonly ports?: readonly PortSpec[]
  readonly aliases?: boolean
  readonly tty: boolean
  readonly openStdin: boolean
  readonly autoRemove?: boolean
  /** 12 hex digits. */
  readonly slug: string
}

export interface OneOff {
  readonly spec: ContainerSpec
  readonly volumesFrom: readonly VolumesFrom[]
}

/** The container of `run`: the service's, but for ports, restart policy, aliases and number; `oneoff=True`. */
export function oneOffSpec(project: Project, name: string, observed: Observed, options: OneOffOptions): OneOff {
  const service = project.services[name]
  if (!service) throw new TcomposeError('NOT_FOUND', `no such service: ${name}`)
  if (service.provider) {
    throw new TcomposeError(
      'INVALID',
      `cannot run ${JSON.stringify(name)} as a service provided by ${service.provider.type}`,
    )
  }
  const image = observed.images.get(name)
  const containerName = options.name ?? `${project.name}-${name}-run-${options.slug}`
  const config = overridden(service, options)
  const labels = containerLabels({
    project,
    service: name,
    config: service,
    hash: serviceHash(project, name),
    imageId: image?.id ?? '',
    imageVolumeDigest: imageVolumeDigest(service, observed),
    number: undefined,
    oneOff: true,
    slug: options.slug,
    extra: options.labels ?? {},
  })
  const context = {
    project,
    service: name,
    name: containerName,
    image: image?.reference ?? imageName(project, name, service),
    labels,
    containerOf: (other: string, purpose: string): string => {
      const found = containersOf(observed, other)[0]
      if (found) return found.id
      throw new TcomposeError('NOT_FOUND', `cannot share ${purpose} with service ${other}: container missing`)
    },
    linkedContainers: (other: string) =>
      containersOf(observed, other).map((one) => ({ name: one.name, number: numberOf(one) })),
    inherited: new Map<string, string>(),
    aliases: options.aliases ?? false,
    oneOff: true,
    readFile: (path: string) => readFileSync(path, 'utf8'),
  }
  const spec = toContainerSpec(config, context)
  const added = options.mounts ?? []
  const ports = [...(options.servicePorts ? toPorts(service.ports) : []), ...(options.ports ?? [])]
  return {
    spec: {
      ...spec,
      env: [...(spec.env ?? []), ...(options.env ?? [])],
      mounts: [...(spec.mounts ?? []).filter((one) => !added.some((more) => more.target === one.target)), ...added],
      ports,
      autoRemove: options.autoRemove ?? false,
    },
    volumesFrom: toVolumesFrom(config, context),
  }
}

function overridden(service: Service, options: OneOffOptions): Service {
  const changed: Record<string, unknown> = { ...service, ports: [], tty: options.tty, stdin_open: options.openStdin }
  delete changed.container_name
  if (options.entrypoint) {
    changed.entrypoint = options.entrypoint
    changed.command = options.command
  } else if (options.command && options.command.length > 0) changed.command = options.command
  if (options.user !== undefined) changed.user = options.user
  if (options.workingDir !== undefined) changed.working_dir = options.workingDir
  const caps = (
    own: readonly string[] | undefined,
    add: readonly string[],
    drop: readonly string[],
  ): readonly string[] => [...(own ?? []).filter((cap) => !drop.includes(cap)), ...add]
  changed.cap_add = caps(service.cap_add, options.capAdd ?? [], options.capDrop ?? [])
  changed.cap_drop = caps(service.cap_drop, options.capDrop ?? [], options.capAdd ?? [])
  return changed as unknown as Service
}
