import { parseDurationNs } from '../base/duration.ts'
import { TcomposeError } from '../base/errors.ts'
import type { Project, Service } from '../compose/types.ts'
import type {
  ContainerSpec,
  DeviceRequest,
  DeviceSpec,
  HealthcheckSpec,
  LogSpec,
  PortSpec,
  RestartPolicy,
} from '../engine/containers/spec.ts'
import { toMounts } from './container-mounts.ts'
import { defaultBridgeLinks, toNamespaces, toNetworkMode } from './container-network.ts'
import { toResources, toUlimits } from './container-resources.ts'

/** What the mapping cannot know from the compose file. */
export interface SpecContext {
  readonly project: Project
  readonly service: string
  readonly name: string
  /** Image to run, as the store knows it. */
  readonly image: string
  readonly labels: Readonly<Record<string, string>>
  /** Id of a container of the service, for `network_mode: service:x` and the like. @throws when there is none */
  readonly containerOf: (service: string, purpose: string) => string
  /** Names of the containers of a linked service, each with its number. */
  readonly linkedContainers: (service: string) => readonly { readonly name: string; readonly number: number }[]
  /** Volumes of the container that this one replaces, by mount target: anonymous ones are taken over. */
  readonly inherited: ReadonlyMap<string, string>
  /** Whether the service's name and aliases lead to it (`run` without `--use-aliases`: no). */
  readonly aliases: boolean
  readonly oneOff: boolean
  /** Reads a small file of the host (seccomp profiles). */
  readonly readFile: (path: string) => string
}

/** Everything a service says about its containers, in the engine's words. Pure but for `readFile`. */
export function toContainerSpec(service: Service, context: SpecContext): ContainerSpec {
  const stopGraceNs = service.stop_grace_period === undefined ? undefined : toNs(service.stop_grace_period)
  return {
    name: context.name,
    image: context.image,
    entrypoint: service.entrypoint ?? undefined,
    command: service.command ?? undefined,
    env: toEnvironment(service.environment),
    workingDir: service.working_dir,
    user: service.user,
    groupAdd: (service.group_add ?? []).map(String),
    tty: service.tty ?? false,
    openStdin: service.stdin_open ?? false,
    hostname: service.hostname,
    domainname: service.domainname,
    labels: context.labels,
    annotations: toStrings(service.annotations),
    stopSignal: service.stop_signal,
    stopTimeoutSeconds: stopGraceNs === undefined ? undefined : Math.ceil(stopGraceNs / 1e9),
    healthcheck: toHealthcheck(service.healthcheck),
    exposedPorts: toExposedPorts(service),
    platform: service.platform,
    runtime: service.runtime,
    restart: context.oneOff ? { name: 'no' } : toRestart(service),
    ...(service.logging ? { log: toLog(service.logging) } : {}),
    mounts: toMounts(service, context),
    network: toNetworkMode(service, context),
    ports: toPorts(service.ports),
    resources: toResources(service),
    security: {
      privileged: service.privileged ?? false,
      capAdd: service.cap_add ?? [],
      capDrop: service.cap_drop ?? [],
      options: toSecurityOptions(service.security_opt, context),
    },
    namespaces: toNamespaces(service, context),
    dns: { servers: asList(service.dns), search: asList(service.dns_search), options: service.dns_opt ?? [] },
    extraHosts: toExtraHosts(service.extra_hosts),
    links: defaultBridgeLinks(service, context),
    sysctls: toStrings(service.sysctls),
    ulimits: toUlimits(service.ulimits),
    devices: toDevices(service.devices),
    deviceCgroupRules: (service.device_cgroup_rules ?? []).map(String),
    gpus: toDeviceRequests(service),
    storageOpt: toStrings(service.storage_opt),
    init: service.init ?? false,
    shmSizeBytes: service.shm_size === undefined ? undefined : Number(service.shm_size),
    readOnlyRootfs: service.read_only ?? false,
  }
}

/** `K=V` in the order of the keys; a key without a value is not set at all. */
export function toEnvironment(environment: Readonly<Record<string, string | null>> | undefined): readonly string[] {
  return Object.entries(environment ?? {}).flatMap(([key, value]) => (value === null ? [] : [`${key}=${value}`]))
}

function toStrings(map: Readonly<Record<string, unknown>> | undefined): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(map ?? {}).map(([key, value]) => [key, value === null ? '' : String(value)]))
}

function asList(value: string | readonly string[] | undefined): readonly string[] {
  return value === undefined ? [] : typeof value === 'string' ? [value] : value
}

function toNs(text: string | number): number {
  return typeof text === 'number' ? text : parseDurationNs(text)
}

function toHealthcheck(check: Service['healthcheck']): HealthcheckSpec | undefined {
  if (!check) return undefined
  if (check.disable) return { test: ['NONE'] }
  if (check.start_interval !== undefined && check.start_period === undefined) {
    throw new TcomposeError('INVALID', 'healthcheck.start_interval requires healthcheck.start_period to be set')
  }
  return {
    ...(check.test ? { test: check.test } : {}),
    ...(check.interval === undefined ? {} : { intervalNs: toNs(check.interval) }),
    ...(check.timeout === undefined ? {} : { timeoutNs: toNs(check.timeout) }),
    ...(check.start_period === undefined ? {} : { startPeriodNs: toNs(check.start_period) }),
    ...(check.start_interval === undefined ? {} : { startIntervalNs: toNs(check.start_interval) }),
    ...(check.retries === undefined ? {} : { retries: Number(check.retries) }),
  }
}

/** Published ports count as exposed; `expose` takes ranges. */
function toExposedPorts(service: Service): readonly string[] {
  const ports = new Set<string>()
  for (const text of service.expose ?? []) {
    const [range = '', protocol = 'tcp'] = String(text).split('/')
    const [first = '', last = first] = range.split('-')
    for (let port = Number(first); port <= Number(last); port++) ports.add(`${port}/${protocol}`)
  }
  for (const port of service.ports ?? []) ports.add(`${port.target}/${port.protocol ?? 'tcp'}`)
  return [...ports]
}

/** `published` is a port, a range of which one is taken, or nothing (any free one). */
export function toPorts(ports: Service['ports']): readonly PortSpec[] {
  return (ports ?? []).map((port) => {
    const [first = '', last] = String(port.published ?? '').split('-')
    return {
      containerPort: Number(port.target),
      protocol: (port.protocol ?? 'tcp') as PortSpec['protocol'],
      hostIp: (port.host_ip ?? '').replace(/^\[|\]$/g, ''),
      hostPort: first === '' ? 0 : Number(first),
      ...(last === undefined ? {} : { hostPortEnd: Number(last) }),
    }
  })
}

/** `restart`, unless `deploy.restart_policy` says otherwise. */
export function toRestart(service: Service): RestartPolicy {
  const policy = service.deploy?.restart_policy
  if (policy) {
    switch (policy.condition) {
      case 'none':
        return { name: 'no' }
      case 'on-failure':
        return { name: 'on-failure', maximumRetryCount: Number(policy.max_attempts ?? 0) }
      default:
        return { name: 'always' }
    }
  }
  const [name = 'no', count] = (service.restart || 'no').split(':')
  switch (name) {
    case 'no':
    case 'always':
    case 'unless-stopped':
      return { name }
    case 'on-failure':
      return { name, maximumRetryCount: count === undefined ? 0 : Number(count) }
    default:
      throw new TcomposeError('INVALID', `invalid restart policy: ${service.restart}`, {
        hint: 'one of no, always, unless-stopped, on-failure[:max] is expected',
      })
  }
}

function toLog(logging: NonNullable<Service['logging']>): LogSpec {
  const driver = logging.driver || 'json-file'
  switch (driver) {
    case 'json-file':
    case 'local':
    case 'none':
    case 'syslog':
    case 'journald':
      return { driver, options: toStrings(logging.options) }
    default:
      throw new TcomposeError('UNSUPPORTED', `logging driver ${JSON.stringify(driver)} is not supported`, {
        hint: 'use json-file, local, syslog, journald or none',
      })
  }
}

function toSecurityOptions(options: readonly string[] | undefined, context: SpecContext): readonly string[] {
  return (options ?? []).map((text) => {
    const [name = '', value] = splitOption(text)
    if (
      name !== 'seccomp' ||
      value === undefined ||
      value === 'unconfined' ||
      value === 'builtin' ||
      value.startsWith('{')
    ) {
      return value === undefined ? name : `${name}=${value}`
    }
    return `seccomp=${context.readFile(value)}`
  })
}

/** `a=b`, or the older `a:b`. */
function splitOption(text: string): readonly [string, string?] {
  const at = text.search(/[=:]/)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}

/** A list `host=ip`, or a map with one or several addresses; the engine's form is `host:ip`. */
export function toExtraHosts(
  hosts: readonly string[] | Readonly<Record<string, string | readonly string[]>> | undefined,
): readonly string[] {
  if (hosts === undefined) return []
  if (isList(hosts)) return hosts.map((text) => text.replace(/^([^=:]+)[=:]\[?(.*?)\]?$/, '$1:$2'))
  return Object.entries(hosts).flatMap(([host, addresses]) =>
    (typeof addresses === 'string' ? [addresses] : addresses).map((address) => `${host}:${address}`),
  )
}

function isList<T>(value: readonly T[] | object): value is readonly T[] {
  return Array.isArray(value)
}

function toDevices(devices: Service['devices']): readonly DeviceSpec[] {
  return (devices ?? [])
    .filter((one) => !isCdi(one.source))
    .map((one) => ({ source: one.source, target: one.target || one.source, permissions: one.permissions || 'rwm' }))
}

/** `vendor.com/class=name` names a device of the Container Device Interface and no path. */
function isCdi(source: string): boolean {
  return /^[\w.-]+\/[\w.-]+=[\w.:-]+$/.test(source)
}

function toDeviceRequests(service: Service): readonly DeviceRequest[] {
  const cdi = (service.devices ?? []).filter((one) => isCdi(one.source)).map((one) => one.source)
  const asked = [...(service.gpus ?? []), ...(service.deploy?.resources?.reservations?.devices ?? [])]
  return [
    ...(cdi.length > 0 ? [{ driver: 'cdi', deviceIds: cdi }] : []),
    ...asked.map((one) => ({
      ...(one.driver ? { driver: one.driver } : {}),
      ...(one.count === undefined ? {} : { count: String(one.count) === 'all' ? -1 : Number(one.count) }),
      ...(one.device_ids ? { deviceIds: one.device_ids } : {}),
      capabilities: [one.capabilities ?? ['gpu']],
      ...(one.options ? { options: toStrings(one.options) } : {}),
    })),
  ]
}
