import type {
  ContainerSpec,
  DnsSpec,
  EndpointSpec,
  HealthcheckSpec,
  LogSpec,
  NetworkModeSpec,
  PortSpec,
  ResourceSpec,
  RestartPolicy,
} from '../../engine/containers/spec.ts'
import type { JsonObject } from '../exchange.ts'
import { badRequest } from '../http-error.ts'
import { readMounts } from './create-mounts.ts'
import { readResources } from './create-resources.ts'
import { bool, list, map, object, strings, text, whole } from './read.ts'

/**
 * `POST /containers/create` as the engine's spec.
 * @throws TcomposeError INVALID for what has another type than it must; UNSUPPORTED for what is not done here, by name
 */
export function readCreate(body: JsonObject, name: string, platform: string | undefined): ContainerSpec {
  const host = object(body, 'HostConfig')
  const exposed = Object.keys(object(body, 'ExposedPorts')).map((port) => (port.includes('/') ? port : `${port}/tcp`))
  const resources = readResources(host)
  const optional = {
    entrypoint: commandOf(body, 'Entrypoint'),
    command: commandOf(body, 'Cmd'),
    env: strings(body, 'Env'),
    workingDir: text(body, 'WorkingDir'),
    user: text(body, 'User'),
    groupAdd: strings(host, 'GroupAdd'),
    hostname: text(body, 'Hostname'),
    domainname: text(body, 'Domainname'),
    labels: map(body, 'Labels'),
    annotations: map(host, 'Annotations'),
    stopSignal: text(body, 'StopSignal'),
    stopTimeoutSeconds: whole(body, 'StopTimeout'),
    healthcheck: readHealthcheck(object(body, 'Healthcheck')),
    exposedPorts: exposed.length > 0 ? exposed : undefined,
    platform,
    runtime: text(host, 'Runtime'),
    restart: readRestart(object(host, 'RestartPolicy')),
    log: readLog(object(host, 'LogConfig')),
    mounts: readMounts(body, host),
    resources: Object.keys(resources).length > 0 ? (resources satisfies ResourceSpec) : undefined,
    security: {
      privileged: bool(host, 'Privileged'),
      capAdd: strings(host, 'CapAdd') ?? [],
      capDrop: strings(host, 'CapDrop') ?? [],
      options: strings(host, 'SecurityOpt') ?? [],
      ...(strings(host, 'MaskedPaths') ? { maskedPaths: strings(host, 'MaskedPaths') as string[] } : {}),
      ...(strings(host, 'ReadonlyPaths') ? { readonlyPaths: strings(host, 'ReadonlyPaths') as string[] } : {}),
    },
    namespaces: {
      pid: text(host, 'PidMode') ?? '',
      ipc: text(host, 'IpcMode') ?? '',
      uts: text(host, 'UTSMode') ?? '',
      cgroup: text(host, 'CgroupnsMode') ?? '',
      user: text(host, 'UsernsMode') ?? '',
    },
    dns: readDns(host),
    extraHosts: strings(host, 'ExtraHosts'),
    links: strings(host, 'Links'),
    sysctls: map(host, 'Sysctls'),
    ulimits: list(host, 'Ulimits')?.map((one) => ({
      name: text(one, 'Name') ?? '',
      soft: whole(one, 'Soft') ?? 0,
      hard: whole(one, 'Hard') ?? 0,
    })),
    devices: list(host, 'Devices')?.map((one) => ({
      source: text(one, 'PathOnHost') ?? '',
      target: text(one, 'PathInContainer') ?? text(one, 'PathOnHost') ?? '',
      permissions: text(one, 'CgroupPermissions') ?? 'rwm',
    })),
    deviceCgroupRules: strings(host, 'DeviceCgroupRules'),
    storageOpt: map(host, 'StorageOpt'),
    shmSizeBytes: whole(host, 'ShmSize') || undefined,
    init: typeof host.Init === 'boolean' ? host.Init : undefined,
  }
  return {
    name,
    image: text(body, 'Image') ?? '',
    tty: bool(body, 'Tty'),
    openStdin: bool(body, 'OpenStdin'),
    autoRemove: bool(host, 'AutoRemove'),
    readOnlyRootfs: bool(host, 'ReadonlyRootfs'),
    network: readNetwork(body, host),
    ports: readPorts(host, exposed),
    ...defined(optional),
  }
}

/** Leaves out what is undefined: absent and undefined differ for optional fields. */
function defined<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never
}

/** A string is one word, as Docker's older clients send it. */
function commandOf(body: JsonObject, name: string): readonly string[] | undefined {
  const value = body[name]
  if (typeof value === 'string') return value === '' ? undefined : [value]
  const words = strings(body, name)
  return words && words.length > 0 ? words : undefined
}

function readHealthcheck(given: JsonObject): HealthcheckSpec | undefined {
  if (Object.keys(given).length === 0) return undefined
  return {
    test: strings(given, 'Test') ?? [],
    intervalNs: whole(given, 'Interval') ?? 0,
    timeoutNs: whole(given, 'Timeout') ?? 0,
    startPeriodNs: whole(given, 'StartPeriod') ?? 0,
    startIntervalNs: whole(given, 'StartInterval') ?? 0,
    retries: whole(given, 'Retries') ?? 0,
  }
}

export function readRestart(given: JsonObject): RestartPolicy | undefined {
  const name = text(given, 'Name')
  if (!name) return undefined
  if (name !== 'no' && name !== 'always' && name !== 'unless-stopped' && name !== 'on-failure') {
    throw badRequest(
      `invalid restart policy: unknown policy '${name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
    )
  }
  const maximumRetryCount = whole(given, 'MaximumRetryCount') ?? 0
  if (maximumRetryCount !== 0 && name !== 'on-failure') {
    throw badRequest("invalid restart policy: maximum retry count can only be used with 'on-failure'")
  }
  if (maximumRetryCount < 0) throw badRequest('invalid restart policy: maximum retry count cannot be negative')
  return { name, maximumRetryCount }
}

function readLog(given: JsonObject): LogSpec | undefined {
  const driver = text(given, 'Type')
  const options = map(given, 'Config') ?? {}
  if (!driver && Object.keys(options).length === 0) return undefined
  return { driver: (driver || 'json-file') as LogSpec['driver'], options }
}

function readDns(host: JsonObject): DnsSpec | undefined {
  const servers = strings(host, 'Dns') ?? []
  const search = strings(host, 'DnsSearch') ?? []
  const options = strings(host, 'DnsOptions') ?? []
  return servers.length + search.length + options.length === 0 ? undefined : { servers, search, options }
}

function readNetwork(body: JsonObject, host: JsonObject): NetworkModeSpec {
  const mode = text(host, 'NetworkMode') || 'default'
  if (mode === 'none' || mode === 'host') return { kind: mode }
  if (mode.startsWith('container:')) return { kind: 'container', container: mode.slice('container:'.length) }
  const configs = object(object(body, 'NetworkingConfig'), 'EndpointsConfig')
  const primary = mode === 'default' ? 'bridge' : mode
  const names = Object.keys(configs)
  // The mode's network comes first; `default` with one network given means that one.
  const order = mode === 'default' && names.length > 0 ? names : [primary, ...names.filter((name) => name !== primary)]
  const mac = text(body, 'MacAddress')
  return {
    kind: 'networks',
    endpoints: order.map((network, index) => ({
      ...(index === 0 && mac ? { macAddress: mac } : {}),
      ...readEndpoint(network === 'default' ? 'bridge' : network, object(configs, network)),
    })),
  }
}

/** `EndpointSettings` as it comes in, for create and connect. */
export function readEndpoint(network: string, given: JsonObject): EndpointSpec {
  const ipam = object(given, 'IPAMConfig')
  const aliases = strings(given, 'Aliases')
  const links = strings(given, 'Links')
  const driverOpts = map(given, 'DriverOpts')
  const priority = whole(given, 'GwPriority')
  const linkLocal = strings(ipam, 'LinkLocalIPs')
  return {
    network,
    ...(aliases ? { aliases } : {}),
    ...(links ? { links } : {}),
    ...(text(ipam, 'IPv4Address') ? { ipv4Address: text(ipam, 'IPv4Address') } : {}),
    ...(text(ipam, 'IPv6Address') ? { ipv6Address: text(ipam, 'IPv6Address') } : {}),
    ...(linkLocal ? { linkLocalIps: linkLocal } : {}),
    ...(text(given, 'MacAddress') ? { macAddress: text(given, 'MacAddress') } : {}),
    ...(priority ? { gwPriority: priority } : {}),
    ...(driverOpts ? { driverOpts } : {}),
  }
}

function readPorts(host: JsonObject, exposed: readonly string[]): readonly PortSpec[] {
  const ports: PortSpec[] = []
  const bindings = object(host, 'PortBindings')
  for (const [key, values] of Object.entries(bindings)) {
    const { port, protocol } = parsePort(key)
    for (const value of Array.isArray(values) ? (values as JsonObject[]) : []) {
      const [first = '', last] = (text(value, 'HostPort') ?? '').split('-')
      const hostPort = first === '' ? 0 : Number(first)
      const hostPortEnd = last === undefined ? undefined : Number(last)
      if (!validPort(hostPort) || (hostPortEnd !== undefined && !validPort(hostPortEnd))) {
        throw badRequest(`invalid port specification: ${JSON.stringify(text(value, 'HostPort'))}`)
      }
      const hostIp = text(value, 'HostIp') ?? ''
      ports.push({
        containerPort: port,
        protocol,
        hostIp: hostIp === '0.0.0.0' ? '' : hostIp,
        hostPort,
        ...(hostPortEnd === undefined ? {} : { hostPortEnd }),
      })
    }
  }
  if (bool(host, 'PublishAllPorts')) {
    for (const key of exposed) {
      if (key in bindings) continue
      const { port, protocol } = parsePort(key)
      ports.push({ containerPort: port, protocol, hostIp: '', hostPort: 0 })
    }
  }
  return ports
}

function parsePort(key: string): { readonly port: number; readonly protocol: PortSpec['protocol'] } {
  const [number, protocol = 'tcp'] = key.split('/')
  const port = Number(number)
  if (!validPort(port) || port === 0 || (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp')) {
    throw badRequest(`invalid port specification: ${JSON.stringify(key)}`)
  }
  return { port, protocol }
}

function validPort(port: number): boolean {
  return Number.isInteger(port) && port >= 0 && port <= 65_535
}
