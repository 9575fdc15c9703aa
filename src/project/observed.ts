import type { Project } from '../compose/types.ts'
import type { Container } from '../engine/containers/types.ts'
import type { Engine } from '../engine/engine.ts'
import type { Network } from '../engine/networks/types.ts'
import type { Volume } from '../engine/volumes/types.ts'
import { LABEL } from './labels.ts'

/** What an image is to the plan. */
export interface ServiceImage {
  /** Id of the image: what the `com.docker.compose.image` label has. */
  readonly id: string
  /** As the container's spec is to name it. */
  readonly reference: string
  /** Targets that the image declares as VOLUME. */
  readonly volumes: readonly string[]
}

/** What there is of a project, by its labels, and what its names mean now. */
export interface Observed {
  /** Every container of the project, one-offs too. */
  readonly containers: readonly Container[]
  /** By name: those of the project and those that its file names. */
  readonly networks: ReadonlyMap<string, Network>
  readonly volumes: ReadonlyMap<string, Volume>
  /** By service. */
  readonly images: ReadonlyMap<string, ServiceImage>
  /** Ids of images that are mounted as volumes, by reference. */
  readonly imageVolumes: ReadonlyMap<string, string>
}

export const NOTHING: Observed = {
  containers: [],
  networks: new Map(),
  volumes: new Map(),
  images: new Map(),
  imageVolumes: new Map(),
}

/** All containers of a project: those with its label and a config hash. */
export function projectContainers(engine: Engine, name: string): Promise<readonly Container[]> {
  return engine.containers.list({ labels: [`${LABEL.project}=${name}`, LABEL.configHash] })
}

/** Reads the state of a project from labels, and with `project` what its networks and volumes are at present. */
export async function observe(
  engine: Engine,
  name: string,
  project?: Project,
  images: ReadonlyMap<string, ServiceImage> = new Map(),
): Promise<Observed> {
  const label = `${LABEL.project}=${name}`
  const networkNames = Object.entries(project?.networks ?? {}).map(([key, network]) => network?.name ?? key)
  const volumeNames = Object.entries(project?.volumes ?? {}).map(([key, volume]) => volume?.name ?? key)
  const [containers, ownNetworks, ownVolumes, namedNetworks, namedVolumes, imageVolumes] = await Promise.all([
    projectContainers(engine, name),
    engine.networks.list({ labels: [label] }),
    engine.volumes.list({ labels: [label] }),
    Promise.all(networkNames.map((one) => engine.networks.find(one))),
    Promise.all(volumeNames.map((one) => engine.volumes.find(one))),
    findImageVolumes(engine, project),
  ])
  const present = <T>(list: readonly (T | undefined)[]): readonly T[] => list.filter((one) => one !== undefined)
  return {
    containers,
    networks: new Map([...ownNetworks, ...present(namedNetworks)].map((one) => [one.name, one])),
    volumes: new Map([...ownVolumes, ...present(namedVolumes)].map((one) => [one.name, one])),
    images,
    imageVolumes,
  }
}

async function findImageVolumes(engine: Engine, project: Project | undefined): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for (const reference of imageVolumeReferences(project)) {
    const image = await engine.images.find(reference)
    if (image) found.set(reference, image.id)
  }
  return found
}

/** Images that services mount as volumes. */
export function imageVolumeReferences(project: Project | undefined): readonly string[] {
  const references = Object.values(project?.services ?? {}).flatMap((service) =>
    (service.volumes ?? []).flatMap((volume) => (volume.type === 'image' && volume.source ? [volume.source] : [])),
  )
  return [...new Set(references)]
}
