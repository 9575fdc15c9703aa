/** The labels by which containers, networks, volumes and images belong to a project: Docker Compose's, to the letter. */
export const LABEL = {
  project: 'com.docker.compose.project',
  service: 'com.docker.compose.service',
  version: 'com.docker.compose.version',
  workingDir: 'com.docker.compose.project.working_dir',
  configFiles: 'com.docker.compose.project.config_files',
  environmentFile: 'com.docker.compose.project.environment_file',
  oneOff: 'com.docker.compose.oneoff',
  configHash: 'com.docker.compose.config-hash',
  number: 'com.docker.compose.container-number',
  dependsOn: 'com.docker.compose.depends_on',
  image: 'com.docker.compose.image',
  imageVolumeDigest: 'com.docker.compose.image-volume-digest',
  replace: 'com.docker.compose.replace',
  slug: 'com.docker.compose.slug',
  hook: 'com.docker.compose.hook',
  network: 'com.docker.compose.network',
  volume: 'com.docker.compose.volume',
  imageBuilder: 'com.docker.compose.image.builder',
  /** Ours: the seconds and signal with which a container is to be stopped are in its spec; this marks our hash of a build. */
  buildHash: 'io.tcompose.build-hash',
} as const

/** What we say we are in the `version` labels: the Compose line whose behaviour is followed. */
export const COMPOSE_VERSION = '5.5.0'

export interface DependencyLabel {
  readonly service: string
  readonly condition: string
  readonly restart: boolean
}

/** Reads the `depends_on` label, `db:service_healthy:true,cache:service_started:false`. Bad parts are left out. */
export function parseDependsOnLabel(text: string | undefined): readonly DependencyLabel[] {
  if (text === undefined || text === '') return []
  return text.split(',').flatMap((part) => {
    const [service, condition = 'service_started', restart = 'false'] = part.trim().split(':')
    return service ? [{ service, condition, restart: restart === 'true' }] : []
  })
}

export function formatDependsOnLabel(dependencies: readonly DependencyLabel[]): string {
  return dependencies.map((one) => `${one.service}:${one.condition}:${one.restart}`).join(',')
}
