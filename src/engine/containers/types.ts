import type { Duplex, Readable, Writable } from 'node:stream'
import type { ContainerSpec, EndpointSpec, HealthcheckSpec, ResourceSpec, RestartPolicy } from './spec.ts'

export type ContainerStatus = 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead'

/** Times are RFC 3339 with nanoseconds, '' for never (inspect shows 0001-01-01T00:00:00Z). */
export interface ContainerState {
  readonly status: ContainerStatus
  /** Host pid of the container's first process; 0 when it does not run. */
  readonly pid: number
  /** `/proc/PID/stat` field 22 of that process: pid alone is no identity. */
  readonly pidStart: string
  readonly shimPid: number
  readonly shimStart: string
  readonly exitCode: number
  readonly oomKilled: boolean
  readonly error: string
  readonly startedAt: string
  readonly finishedAt: string
  readonly restartCount: number
  /** A person asked it to stop: policies `always` and `unless-stopped` then leave it. */
  readonly stoppedByUser: boolean
  readonly health: HealthState | undefined
}

export interface HealthState {
  readonly status: 'starting' | 'healthy' | 'unhealthy'
  readonly failingStreak: number
  /** The last five. */
  readonly log: readonly {
    readonly start: string
    readonly end: string
    readonly exitCode: number
    readonly output: string
  }[]
}

/** What the engine made of a mount request; `volume` mounts name their volume. */
export interface ContainerMount {
  readonly kind: 'bind' | 'volume' | 'tmpfs' | 'image'
  /** Volume name, for kind volume. */
  readonly name?: string
  readonly source: string
  readonly target: string
  readonly readOnly: boolean
  readonly propagation: string
  /** Made for this container alone; removed with it (`rm -v`, autoRemove). */
  readonly anonymous?: boolean
}

export interface ContainerEndpoint {
  readonly networkId: string
  readonly networkName: string
  readonly endpointId: string
  readonly ipv4: string
  readonly ipv4PrefixLength: number
  readonly ipv4Gateway: string
  readonly ipv6: string
  readonly ipv6PrefixLength: number
  readonly ipv6Gateway: string
  readonly macAddress: string
  /** Every name by which DNS answers for it on that network: container name, aliases, short id. */
  readonly dnsNames: readonly string[]
  readonly spec: EndpointSpec
}

export interface PublishedPort {
  readonly containerPort: number
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  readonly hostIp: string
  readonly hostPort: number
}

/** What spec and image come to together: what runs, and what `inspect` shows as Config. */
export interface ContainerConfig {
  /** `''` for root as the image has it. */
  readonly user: string
  /** Image's variables, then the spec's; without PATH, HOSTNAME and TERM defaults. */
  readonly env: readonly string[]
  readonly entrypoint: readonly string[]
  readonly command: readonly string[]
  /** Absolute, cleaned; `/` by default. */
  readonly workingDir: string
  /** `SIGTERM`, … */
  readonly stopSignal: string
  readonly stopTimeoutSeconds: number
  /** Absent when there is none or it was disabled; timings filled with Docker's defaults. */
  readonly healthcheck: HealthcheckSpec | undefined
  /** `80/tcp` */
  readonly exposedPorts: readonly string[]
  /** Targets of the image's VOLUME instructions. */
  readonly volumes: readonly string[]
  readonly hostname: string
  readonly domainname: string
  /** Reference as it was asked for. */
  readonly image: string
}

/** A container as the store has it, with its state brought up to date from the shim's files. */
export interface Container {
  readonly id: string
  readonly name: string
  /** Nanosecond RFC 3339. */
  readonly createdAt: string
  /** Image id (config digest). */
  readonly imageId: string
  readonly spec: ContainerSpec
  readonly config: ContainerConfig
  /** Effective process: entrypoint + command of spec and image. */
  readonly args: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  readonly state: ContainerState
  readonly mounts: readonly ContainerMount[]
  readonly endpoints: readonly ContainerEndpoint[]
  /** What is bound while it runs. */
  readonly ports: readonly PublishedPort[]
  readonly logPath: string
}

export interface ContainerFilter {
  /** Each `key` or `key=value`; all must match. */
  readonly labels?: readonly string[]
  readonly statuses?: readonly ContainerStatus[]
  readonly names?: readonly string[]
  /** Name or id of a network. */
  readonly network?: string
  /** Volume name or mount target. */
  readonly volume?: string
}

export interface ExecSpec {
  readonly command: readonly string[]
  readonly env?: readonly string[]
  readonly user?: string | undefined
  readonly workingDir?: string | undefined
  readonly tty?: boolean
  readonly privileged?: boolean
  /** Whether stdin will be sent; else it is /dev/null. */
  readonly stdin?: boolean
}

/** The live ends of a running process: of a container (attach) or of an exec. */
export interface ProcessStreams {
  readonly stdin: Writable
  readonly stdout: Readable
  /** Empty when there is a tty. */
  readonly stderr: Readable
  resize(size: { readonly columns: number; readonly rows: number }): void
  signal(signal: string): void
  /** Settles when the process has ended and everything it wrote has been delivered; 128+n for a signal. */
  readonly exit: Promise<ExitStatus>
  /** Lets go without ending the process. */
  detach(): void
}

export interface ExitStatus {
  readonly exitCode: number
  readonly oomKilled?: boolean
  readonly error?: string
}

export interface LogLine {
  readonly stream: 'stdout' | 'stderr'
  /** RFC 3339 nano */
  readonly time: string
  /** With its newline; without one it is part of a longer line. */
  readonly text: string
}

export interface LogQuery {
  /** Lines from the end; absent: all. */
  readonly tail?: number | undefined
  readonly follow?: boolean
  /** RFC 3339 or Unix seconds with fraction. */
  readonly since?: string | undefined
  readonly until?: string | undefined
  readonly stdout?: boolean
  readonly stderr?: boolean
}

export interface StatsSample {
  readonly read: string
  readonly cpuTotalNs: number
  readonly cpuUserNs: number
  readonly cpuSystemNs: number
  /** Of the whole machine, for percentages. */
  readonly systemCpuNs: number
  readonly onlineCpus: number
  readonly throttledPeriods: number
  readonly memoryUsageBytes: number
  /** usage minus inactive file cache, as `docker stats` prints */
  readonly memoryWorkingBytes: number
  readonly memoryLimitBytes: number
  readonly memoryStats: Readonly<Record<string, number>>
  readonly pids: number
  readonly blockReadBytes: number
  readonly blockWriteBytes: number
  readonly networks: Readonly<
    Record<string, { rxBytes: number; txBytes: number; rxPackets: number; txPackets: number }>
  >
}

export interface PathStat {
  readonly name: string
  readonly sizeBytes: number
  /** st_mode, type bits included. */
  readonly mode: number
  readonly mtime: string
  readonly linkTarget: string
}

/**
 * Everything done to containers. `ref` is a name, an id or a unique id prefix.
 * Each mutating call holds the container's lock, writes its record in one transaction and emits Docker's events.
 * @throws TcomposeError NOT_FOUND `no such container: REF`; CONFLICT for names, ports and states that forbid it
 */
export interface Containers {
  create(
    spec: ContainerSpec,
    options?: { readonly id?: string; readonly signal?: AbortSignal | undefined },
  ): Promise<Container>
  get(ref: string): Promise<Container>
  /** As `get`, undefined when there is none. */
  find(ref: string): Promise<Container | undefined>
  list(filter?: ContainerFilter): Promise<readonly Container[]>
  start(ref: string, options?: { readonly signal?: AbortSignal | undefined }): Promise<Container>
  /** Stop signal, grace period, SIGKILL; a stopped container is left alone. `timeoutSeconds` -1 waits for ever. */
  stop(
    ref: string,
    options?: {
      readonly timeoutSeconds?: number | undefined
      readonly stopSignal?: string | undefined
      readonly signal?: AbortSignal | undefined
    },
  ): Promise<void>
  kill(ref: string, signal?: string): Promise<void>
  restart(
    ref: string,
    options?: { readonly timeoutSeconds?: number | undefined; readonly signal?: AbortSignal | undefined },
  ): Promise<void>
  pause(ref: string): Promise<void>
  unpause(ref: string): Promise<void>
  /** Settles with the exit status; at once when it does not run (condition `not-running`). */
  wait(
    ref: string,
    options?: {
      readonly condition?: 'not-running' | 'next-exit' | 'removed'
      readonly signal?: AbortSignal | undefined
    },
  ): Promise<ExitStatus>
  remove(ref: string, options?: { readonly force?: boolean; readonly volumes?: boolean }): Promise<void>
  rename(ref: string, name: string): Promise<void>
  /** Changes limits of a live or stopped container. */
  update(ref: string, change: { readonly resources?: ResourceSpec; readonly restart?: RestartPolicy }): Promise<void>
  connect(ref: string, endpoint: EndpointSpec): Promise<void>
  disconnect(ref: string, network: string): Promise<void>
  /** Starts a process in the running container. */
  exec(ref: string, spec: ExecSpec): Promise<ProcessStreams>
  /** The container's own stdio, from now on. Attach before `start` to miss nothing: it then waits for the start. */
  attach(ref: string): Promise<ProcessStreams>
  logs(ref: string, query: LogQuery, signal?: AbortSignal): AsyncIterable<LogLine>
  /** The same, many lines at a time: several times faster for long logs. */
  logBatches(ref: string, query: LogQuery, signal?: AbortSignal): AsyncIterable<readonly LogLine[]>
  stats(ref: string): Promise<StatsSample>
  /** ps(1) columns for its processes. */
  top(
    ref: string,
    psArgs?: readonly string[],
  ): Promise<{ readonly titles: readonly string[]; readonly rows: readonly (readonly string[])[] }>
  statPath(ref: string, path: string): Promise<PathStat>
  /** A tar of `path` (one directory entry or file, named by its basename), symlinks resolved inside the root. */
  readArchive(ref: string, path: string): Promise<Readable>
  /** Unpacks a tar below the directory `path`; parents of entries that are not in the tar are made. */
  writeArchive(ref: string, path: string, tar: Readable, options?: { readonly copyUidGid?: boolean }): Promise<void>
  /** Removes files and whole folders inside the container's root, as `watch` needs for deletions; absent ones are no error. */
  removePaths(ref: string, paths: readonly string[]): Promise<void>
  /** The whole root as a tar (`export`). */
  export(ref: string): Promise<Readable>
  /** What it changed in its root, as a layer's tar (`.wh.` entries for what it removed). */
  exportChanges(ref: string): Promise<Readable>
  /** Bytes of the files that it wrote into its root. */
  writtenBytes(ref: string, signal?: AbortSignal): Promise<number>
  /** Differences from the image: A, C or D and the path. */
  changes(ref: string): Promise<readonly { readonly kind: 'A' | 'C' | 'D'; readonly path: string }[]>
  /**
   * Records the end of a container whose process has gone (exit status, `die` event, network, auto-removal), if nobody
   * has yet; otherwise just reads it. Undefined when it was removed meanwhile.
   */
  settle(ref: string): Promise<Container | undefined>
  /** For the agent: writes the health state (no event; that is the caller's). */
  setHealth(ref: string, health: HealthState | undefined): Promise<void>
  /** For the agent: between an exit and the next start by policy it shows `restarting`. */
  markRestarting(ref: string, restarting: boolean): Promise<void>
  /** For the agent: start by restart policy; counts, and does nothing when a person stopped or started it meanwhile. */
  startAgain(ref: string, signal?: AbortSignal): Promise<Container | undefined>
  /** Writes back what shims left behind (exits nobody recorded, killed shims) and clears what no record owns. */
  reconcile(): Promise<void>
}

export type { Duplex }
