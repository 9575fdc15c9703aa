import { networkHash, serviceHash, volumeHash } from '../../../src/compose/hash.ts'
import type { NetworkConfig, Project, Service, VolumeConfig } from '../../../src/compose/types.ts'
import type { Container, ContainerState } from '../../../src/engine/containers/types.ts'
import type { Network } from '../../../src/engine/networks/types.ts'
import type { Volume } from '../../../src/engine/volumes/types.ts'
import { imageVolumeDigest } from '../../../src/project/container-labels.ts'
import { formatDependsOnLabel, LABEL } from '../../../src/project/labels.ts'
import { NOTHING, type Observed } from '../../../src/project/observed.ts'
import { formatPlan } from '../../../src/project/plan.ts'
import type { ReconcileOptions } from '../../../src/project/plan-state.ts'
import { reconcile } from '../../../src/project/reconcile.ts'

/** A project named `app` with a default network where services name none. */
export function project(parts: {
  readonly services: Readonly<Record<string, Service>>
  readonly networks?: Readonly<Record<string, NetworkConfig>>
  readonly volumes?: Readonly<Record<string, VolumeConfig>>
  readonly disabled?: Readonly<Record<string, Service>>
}): Project {
  const services = Object.fromEntries(
    Object.entries(parts.services).map(([name, service]) => [
      name,
      {
        image: 'base',
        ...(service.network_mode || service.networks ? {} : { networks: { default: null } }),
        ...service,
      },
    ]),
  )
  const usesDefault = Object.values(services).some((one) => one.networks && 'default' in one.networks)
  return {
    name: 'app',
    working_dir: '/srv/app',
    compose_files: ['/srv/app/compose.yaml'],
    env_files: [],
    environment: {},
    profiles: [],
    services,
    disabled_services: parts.disabled ?? {},
    networks: { ...(usesDefault ? { default: { name: 'app_default' } } : {}), ...parts.networks },
    volumes: parts.volumes ?? {},
    configs: {},
    secrets: {},
    models: {},
  }
}

export const IMAGE_ID = `sha256:${'1'.repeat(64)}`

export interface ContainerParts {
  readonly number?: number
  readonly status?: ContainerState['status']
  readonly exitCode?: number
  readonly labels?: Readonly<Record<string, string>>
  readonly id?: string
  readonly mounts?: Container['mounts']
  readonly spec?: Partial<Container['spec']>
  readonly endpoints?: Container['endpoints']
  readonly oneOff?: boolean
}

/** A container of a service as an earlier `up` of this very project left it. */
export function containerOf(of: Project, service: string, parts: ContainerParts = {}): Container {
  const number = parts.number ?? 1
  const config = of.services[service] ?? {}
  const known = of.services[service] !== undefined
  const name = parts.oneOff ? `app-${service}-run-0123456789ab` : `app-${service}-${number}`
  const digest = imageVolumeDigest(config, NOTHING)
  return {
    id: parts.id ?? idOf(service, number),
    name,
    createdAt: '2026-01-01T00:00:00.000000000Z',
    imageId: IMAGE_ID,
    spec: { name, image: 'base', network: { kind: 'networks', endpoints: [] }, ...parts.spec },
    config: {
      user: '',
      env: [],
      entrypoint: [],
      command: ['run'],
      workingDir: '/',
      stopSignal: 'SIGTERM',
      stopTimeoutSeconds: 10,
      healthcheck: undefined,
      exposedPorts: [],
      volumes: [],
      hostname: '',
      domainname: '',
      image: 'base',
    },
    args: ['run'],
    labels: {
      [LABEL.project]: 'app',
      [LABEL.service]: service,
      [LABEL.oneOff]: parts.oneOff ? 'True' : 'False',
      [LABEL.configHash]: known ? serviceHash(of, service) : 'gone',
      [LABEL.image]: IMAGE_ID,
      ...(digest === undefined ? {} : { [LABEL.imageVolumeDigest]: digest }),
      ...(parts.oneOff ? {} : { [LABEL.number]: String(number) }),
      [LABEL.dependsOn]: formatDependsOnLabel(
        Object.entries(config.depends_on ?? {}).map(([other, one]) => ({
          service: other,
          condition: one.condition,
          restart: one.restart ?? false,
        })),
      ),
      ...parts.labels,
    },
    state: {
      status: parts.status ?? 'running',
      pid: 1,
      pidStart: '1',
      shimPid: 1,
      shimStart: '1',
      exitCode: parts.exitCode ?? 0,
      oomKilled: false,
      error: '',
      startedAt: '2026-01-01T00:00:00.000000000Z',
      finishedAt: '',
      restartCount: 0,
      stoppedByUser: false,
      health: undefined,
    },
    mounts: parts.mounts ?? namedMounts(of, config),
    endpoints:
      parts.endpoints ?? Object.keys(config.networks ?? {}).map((key) => endpoint(of.networks[key]?.name ?? key)),
    ports: [],
    logPath: '',
  }
}

export function endpoint(network: string): Container['endpoints'][number] {
  return {
    networkId: `id-${network}`,
    networkName: network,
    endpointId: '',
    ipv4: '172.20.0.2',
    ipv4PrefixLength: 16,
    ipv4Gateway: '172.20.0.1',
    ipv6: '',
    ipv6PrefixLength: 0,
    ipv6Gateway: '',
    macAddress: '',
    dnsNames: [],
    spec: { network, aliases: ['web'] },
  }
}

function namedMounts(of: Project, config: Service): Container['mounts'] {
  return (config.volumes ?? []).flatMap((volume) =>
    volume.type === 'volume' && volume.source
      ? [volumeMount(of.volumes[volume.source]?.name ?? volume.source, volume.target)]
      : [],
  )
}

export function volumeMount(name: string, target: string): Container['mounts'][number] {
  return { kind: 'volume', name, source: `/volumes/${name}`, target, readOnly: false, propagation: '' }
}

export function idOf(service: string, number = 1): string {
  return `${service}${number}`.padEnd(64, '0')
}

export function network(of: Project, key: string, labels?: Readonly<Record<string, string>>): Network {
  const name = of.networks[key]?.name ?? key
  return {
    id: `id-${name}`,
    name,
    createdAt: '',
    driver: 'bridge',
    spec: { name },
    labels: labels ?? { [LABEL.project]: 'app', [LABEL.network]: key, [LABEL.configHash]: networkHash(of, key) },
    bridge: '',
    ipv4Subnet: '',
    ipv4Gateway: '',
    ipv6Subnet: '',
    ipv6Gateway: '',
  }
}

export function volume(of: Project, key: string, labels?: Readonly<Record<string, string>>): Volume {
  return {
    name: of.volumes[key]?.name ?? key,
    driver: 'local',
    driverOpts: {},
    labels: labels ?? { [LABEL.project]: 'app', [LABEL.volume]: key, [LABEL.configHash]: volumeHash(of, key) },
    createdAt: '',
    mountpoint: '',
    anonymous: false,
  }
}

/** Observed: these containers, and every network and volume of the project as it should be, unless given otherwise. */
export function observed(
  of: Project,
  containers: readonly Container[] = [],
  parts: Partial<Observed> & { readonly imageId?: string; readonly imageVolumes?: ReadonlyMap<string, string> } = {},
): Observed {
  const { imageId, ...rest } = parts
  return {
    containers,
    networks: new Map(
      Object.keys(of.networks)
        .map((key) => network(of, key))
        .map((one) => [one.name, one]),
    ),
    volumes: new Map(
      Object.keys(of.volumes)
        .map((key) => volume(of, key))
        .map((one) => [one.name, one]),
    ),
    images: new Map(
      Object.keys(of.services).map((name) => [name, { id: imageId ?? IMAGE_ID, reference: 'base', volumes: [] }]),
    ),
    imageVolumes: new Map(),
    ...rest,
  }
}

/** The plan as text. Ids of new containers are `new1`, `new2`, … */
export function planText(of: Project, state: Observed, options: Partial<ReconcileOptions> = {}): string {
  return formatPlan(planOf(of, state, options))
}

export function planOf(of: Project, state: Observed, options: Partial<ReconcileOptions> = {}) {
  let next = 0
  return reconcile(of, state, {
    start: false,
    newId: () => `new${++next}`.padEnd(64, '0'),
    readFile: () => '{}',
    ...options,
  })
}

/** Lines of a golden, written readably in the test. */
export function lines(...text: readonly string[]): string {
  return text.join('\n')
}
