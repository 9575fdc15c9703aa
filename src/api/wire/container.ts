import { humanDuration } from '../../base/duration.ts'
import type { Container, ContainerMount } from '../../engine/containers/types.ts'
import { containerDir, type EnginePaths } from '../../engine/state/paths.ts'
import { wireEndpoint, wirePortList, wirePortMap } from './endpoint.ts'
import { networkMode, wireHostConfig } from './host-config.ts'
import { unixSeconds, wireTime } from './time.ts'

/** `GET /containers/{id}/json`. */
export function wireContainer(container: Container, paths: EnginePaths, execIds: readonly string[]): object {
  const directory = containerDir(paths, container.id)
  const isLive = isRunning(container)
  const primary = container.endpoints[0]
  const first = primary ? (wireEndpoint(primary, isLive) as Record<string, unknown>) : {}
  return {
    Id: container.id,
    Created: container.createdAt,
    Path: container.args[0] ?? '',
    Args: container.args.slice(1),
    State: wireState(container),
    Image: container.imageId,
    ResolvConfPath: `${directory}/resolv.conf`,
    HostnamePath: `${directory}/hostname`,
    HostsPath: `${directory}/hosts`,
    LogPath: container.logPath,
    Name: `/${container.name}`,
    RestartCount: container.state.restartCount,
    Driver: 'overlay2',
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: execIds.length > 0 ? execIds : null,
    HostConfig: wireHostConfig(container),
    GraphDriver: {
      Data: { MergedDir: '', UpperDir: `${directory}/upper`, WorkDir: `${directory}/work`, LowerDir: '' },
      Name: 'overlay2',
    },
    Mounts: container.mounts.map(wireMount),
    Config: wireConfig(container),
    NetworkSettings: {
      Bridge: '',
      SandboxID: isLive ? container.id : '',
      SandboxKey: isLive ? `/proc/${container.state.shimPid}/ns/net` : '',
      Ports: isLive ? wirePortMap(container.config.exposedPorts, container.ports) : {},
      HairpinMode: false,
      LinkLocalIPv6Address: '',
      LinkLocalIPv6PrefixLen: 0,
      SecondaryIPAddresses: null,
      SecondaryIPv6Addresses: null,
      EndpointID: first.EndpointID ?? '',
      Gateway: first.Gateway ?? '',
      GlobalIPv6Address: first.GlobalIPv6Address ?? '',
      GlobalIPv6PrefixLen: first.GlobalIPv6PrefixLen ?? 0,
      IPAddress: first.IPAddress ?? '',
      IPPrefixLen: first.IPPrefixLen ?? 0,
      IPv6Gateway: first.IPv6Gateway ?? '',
      MacAddress: first.MacAddress ?? '',
      Networks: wireNetworks(container),
    },
  }
}

/** One entry of `GET /containers/json`. */
export function wireContainerSummary(container: Container): Record<string, unknown> {
  return {
    Id: container.id,
    Names: [`/${container.name}`],
    Image: container.config.image,
    ImageID: container.imageId,
    Command: container.args.map(quoteArgument).join(' '),
    Created: unixSeconds(container.createdAt),
    Ports: isRunning(container) ? wirePortList(container.config.exposedPorts, container.ports) : [],
    Labels: container.labels,
    State: container.state.status,
    Status: statusText(container),
    HostConfig: { NetworkMode: networkMode(container.spec) },
    NetworkSettings: { Networks: wireNetworks(container) },
    Mounts: container.mounts.map(wireMount),
  }
}

export function isRunning(container: Container): boolean {
  return container.state.status === 'running' || container.state.status === 'paused'
}

/** `Up 3 minutes (healthy)`, `Exited (0) 2 hours ago`: what `docker ps` prints as it comes. */
export function statusText(container: Container, nowMs = Date.now()): string {
  const { state } = container
  const since = (time: string): string => humanDuration(Math.max(0, nowMs - Date.parse(time)))
  switch (state.status) {
    case 'created':
      return 'Created'
    case 'running': {
      const health = state.health === undefined ? '' : state.health.status
      const suffix = health === '' ? '' : ` (${health === 'starting' ? 'health: starting' : health})`
      return `Up ${since(state.startedAt)}${suffix}`
    }
    case 'paused':
      return `Up ${since(state.startedAt)} (Paused)`
    case 'restarting':
      return `Restarting (${state.exitCode}) ${since(state.finishedAt)} ago`
    case 'removing':
      return 'Removal In Progress'
    case 'dead':
      return 'Dead'
    case 'exited':
      return `Exited (${state.exitCode}) ${since(state.finishedAt)} ago`
  }
}

function wireState(container: Container): object {
  const { state } = container
  return {
    Status: state.status,
    Running: isRunning(container) || state.status === 'restarting',
    Paused: state.status === 'paused',
    Restarting: state.status === 'restarting',
    OOMKilled: state.oomKilled,
    Dead: state.status === 'dead',
    Pid: state.pid,
    ExitCode: state.exitCode,
    Error: state.error,
    StartedAt: wireTime(state.startedAt),
    FinishedAt: wireTime(state.finishedAt),
    ...(state.health
      ? {
          Health: {
            Status: state.health.status,
            FailingStreak: state.health.failingStreak,
            Log: state.health.log.map((entry) => ({
              Start: entry.start,
              End: entry.end,
              ExitCode: entry.exitCode,
              Output: entry.output,
            })),
          },
        }
      : {}),
  }
}

function wireConfig(container: Container): object {
  const { config, spec } = container
  const attach = !spec.tty
  return {
    Hostname: config.hostname,
    Domainname: config.domainname,
    User: config.user,
    AttachStdin: false,
    AttachStdout: attach,
    AttachStderr: attach,
    ...(config.exposedPorts.length > 0
      ? { ExposedPorts: Object.fromEntries(config.exposedPorts.map((port) => [port, {}])) }
      : {}),
    Tty: spec.tty ?? false,
    OpenStdin: spec.openStdin ?? false,
    StdinOnce: false,
    Env: config.env,
    Cmd: config.command.length > 0 ? config.command : null,
    ...(config.healthcheck
      ? {
          Healthcheck: {
            Test: config.healthcheck.test ?? [],
            Interval: config.healthcheck.intervalNs ?? 0,
            Timeout: config.healthcheck.timeoutNs ?? 0,
            StartPeriod: config.healthcheck.startPeriodNs ?? 0,
            StartInterval: config.healthcheck.startIntervalNs ?? 0,
            Retries: config.healthcheck.retries ?? 0,
          },
        }
      : {}),
    Image: config.image,
    Volumes: config.volumes.length > 0 ? Object.fromEntries(config.volumes.map((path) => [path, {}])) : null,
    WorkingDir: config.workingDir === '/' ? '' : config.workingDir,
    Entrypoint: config.entrypoint.length > 0 ? config.entrypoint : null,
    OnBuild: null,
    Labels: container.labels,
    ...(spec.stopSignal ? { StopSignal: spec.stopSignal } : {}),
    ...(spec.stopTimeoutSeconds === undefined ? {} : { StopTimeout: spec.stopTimeoutSeconds }),
  }
}

function wireMount(mount: ContainerMount): object {
  return {
    Type: mount.kind,
    ...(mount.name === undefined ? {} : { Name: mount.name }),
    Source: mount.source,
    Destination: mount.target,
    ...(mount.kind === 'volume' ? { Driver: 'local' } : {}),
    Mode: mount.readOnly ? 'ro' : mount.kind === 'volume' ? 'z' : '',
    RW: !mount.readOnly,
    Propagation: mount.propagation,
  }
}

function wireNetworks(container: Container): object {
  const live = isRunning(container)
  if (container.endpoints.length > 0) {
    return Object.fromEntries(container.endpoints.map((one) => [one.networkName, wireEndpoint(one, live)]))
  }
  const { kind } = container.spec.network
  return kind === 'host' || kind === 'none' ? { [kind]: { NetworkID: '', EndpointID: '', IPAddress: '' } } : {}
}

/** As a shell would need it, which is how dockerd joins the command of the list. */
function quoteArgument(argument: string): string {
  if (argument !== '' && !/[\s'"\\$`;&|<>()*?]/.test(argument)) return argument
  return `'${argument.replaceAll("'", `'"'"'`)}'`
}
