import { digestOf } from '../base/digest.ts'
import type { Project, Service } from '../compose/types.ts'
import { dependenciesOf } from './graph.ts'
import { COMPOSE_VERSION, formatDependsOnLabel, LABEL } from './labels.ts'
import type { Observed } from './observed.ts'

export interface LabelInput {
  readonly project: Project
  readonly service: string
  readonly config: Service
  readonly hash: string
  readonly imageId: string
  readonly imageVolumeDigest: string | undefined
  /** Absent for one-offs. */
  readonly number: number | undefined
  readonly oneOff?: boolean
  readonly slug?: string
  readonly replaces?: string
  readonly extra?: Readonly<Record<string, string>>
}

/** The labels of a container: the file's own, then Compose's. */
export function containerLabels(input: LabelInput): Readonly<Record<string, string>> {
  const { project, config } = input
  const labels: Record<string, string> = {}
  for (const [key, value] of Object.entries(config.labels ?? {})) labels[key] = String(value ?? '')
  Object.assign(labels, input.extra)
  labels[LABEL.project] = project.name
  labels[LABEL.service] = input.service
  labels[LABEL.version] = COMPOSE_VERSION
  labels[LABEL.oneOff] = input.oneOff ? 'True' : 'False'
  labels[LABEL.configHash] = input.hash
  labels[LABEL.workingDir] = project.working_dir
  labels[LABEL.configFiles] = project.compose_files.join(',')
  if (project.env_files.length > 0) labels[LABEL.environmentFile] = project.env_files.join(',')
  labels[LABEL.dependsOn] = formatDependsOnLabel(dependenciesOf(project, config))
  labels[LABEL.image] = input.imageId
  if (input.imageVolumeDigest !== undefined) labels[LABEL.imageVolumeDigest] = input.imageVolumeDigest
  if (input.number !== undefined) labels[LABEL.number] = String(input.number)
  if (input.slug !== undefined) labels[LABEL.slug] = input.slug
  if (input.replaces !== undefined) labels[LABEL.replace] = input.replaces
  return labels
}

/** Of the images a service mounts, so that a rebuilt one is noticed; undefined when it mounts none. */
export function imageVolumeDigest(config: Service, observed: Pick<Observed, 'imageVolumes'>): string | undefined {
  const ids = (config.volumes ?? []).flatMap((volume) =>
    volume.type === 'image' && volume.source
      ? [`${volume.target}=${observed.imageVolumes.get(volume.source) ?? ''}`]
      : [],
  )
  return ids.length === 0 ? undefined : digestOf(ids.sort().join('\n'))
}
