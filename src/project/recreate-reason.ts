import type { Project, Service } from '../compose/types.ts'
import type { Container } from '../engine/containers/types.ts'
import { imageVolumeDigest } from './container-labels.ts'
import { LABEL } from './labels.ts'
import type { Observed } from './observed.ts'

export type RecreatePolicy = 'diverged' | 'force' | 'never'

export interface ReasonInput {
  readonly project: Project
  readonly service: string
  readonly config: Service
  readonly hash: string
  readonly policy: RecreatePolicy
  readonly observed: Observed
  /** Networks (by name) that this very plan makes anew, reattaching the containers. */
  readonly renewedNetworks: ReadonlySet<string>
  /** Ids of containers of services whose namespaces or volumes this one shares, as they will be after the plan. */
  readonly parents: readonly { readonly service: string; readonly purpose: string; readonly ids: readonly string[] }[]
}

/** Why a container must be made anew, or undefined when it is as the file wants it. */
export function recreateReason(container: Container, input: ReasonInput): string | undefined {
  if (input.policy === 'never') return undefined
  if (input.policy === 'force') return 'recreate forced'
  const parent = lostParent(container, input)
  if (parent !== undefined) return parent
  if (container.labels[LABEL.configHash] !== input.hash) return 'config hash changed'
  const image = input.observed.images.get(input.service)
  if (image && container.labels[LABEL.image] !== image.id) return 'image changed'
  const volumeDigest = imageVolumeDigest(input.config, input.observed)
  if (volumeDigest !== undefined && container.labels[LABEL.imageVolumeDigest] !== volumeDigest)
    return 'image volume changed'
  return missingNetwork(container, input) ?? missingVolume(container, input)
}

/** A container that lives in another one's namespaces must follow it. */
function lostParent(container: Container, input: ReasonInput): string | undefined {
  const { network, namespaces } = container.spec
  const held = [
    network.kind === 'container' ? network.container : undefined,
    ...[namespaces?.pid, namespaces?.ipc, namespaces?.uts].map((mode) =>
      mode?.startsWith('container:') ? mode.slice('container:'.length) : undefined,
    ),
  ].filter((id) => id !== undefined)
  for (const parent of input.parents) {
    if (parent.purpose === 'volume') {
      if (parent.ids.length === 0) return `service ${parent.service} has no container`
      // Volumes outlive their container; only a parent made anew in this plan brings others.
      if (parent.ids.every((id) => !input.observed.containers.some((one) => one.id === id))) {
        return `service ${parent.service} recreated`
      }
    } else if (!parent.ids.some((id) => held.includes(id))) {
      return `service ${parent.service} recreated`
    }
  }
  return undefined
}

/** Only a running container has endpoints that can be told from the file's. */
function missingNetwork(container: Container, input: ReasonInput): string | undefined {
  if (container.state.status !== 'running' || container.spec.network.kind !== 'networks') return undefined
  for (const key of Object.keys(input.config.networks ?? {})) {
    const name = input.project.networks?.[key]?.name ?? key
    const network = input.observed.networks.get(name)
    if (!network || input.renewedNetworks.has(name)) continue
    if (!container.endpoints.some((one) => one.networkId === network.id)) return `not attached to network ${name}`
  }
  return undefined
}

function missingVolume(container: Container, input: ReasonInput): string | undefined {
  for (const volume of input.config.volumes ?? []) {
    if (volume.type !== 'volume' || !volume.source) continue
    const name = input.project.volumes?.[volume.source]?.name ?? volume.source
    if (!container.mounts.some((one) => one.kind === 'volume' && one.name === name)) return `volume ${name} not mounted`
  }
  return undefined
}
