import type {
  DeviceRequest,
  DeviceSpec,
  NamespaceSpec,
  ResourceSpec,
  SecuritySpec,
} from '../../runtime/oci-spec-input.ts'

export type { DeviceRequest, DeviceSpec, NamespaceSpec, ResourceSpec, SecuritySpec }

/**
 * What a container is asked to be: the engine's own vocabulary, one field per thing that can be set.
 * `undefined` (or absent) means "the image's, else Docker's default". Sizes in bytes, times in the unit of the name.
 */
export interface ContainerSpec {
  /** Unique in the state root; `[a-zA-Z0-9][a-zA-Z0-9_.-]+`. */
  readonly name: string
  /** Reference, id or id prefix of an image that is in the store. */
  readonly image: string
  readonly entrypoint?: readonly string[] | undefined
  /** With `entrypoint` set and this absent, the image's command is dropped, as in Docker. */
  readonly command?: readonly string[] | undefined
  /** `K=V`; later wins; added to the image's. */
  readonly env?: readonly string[]
  readonly workingDir?: string | undefined
  /** `user[:group]`, names or numbers, resolved in the container's own files. */
  readonly user?: string | undefined
  readonly groupAdd?: readonly string[]
  readonly tty?: boolean
  readonly openStdin?: boolean
  readonly hostname?: string | undefined
  readonly domainname?: string | undefined
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  /** `SIGTERM`, `TERM` or a number. */
  readonly stopSignal?: string | undefined
  readonly stopTimeoutSeconds?: number | undefined
  readonly healthcheck?: HealthcheckSpec | undefined
  /** `80/tcp`, added to the image's. */
  readonly exposedPorts?: readonly string[]
  readonly platform?: string | undefined
  readonly runtime?: string | undefined
  /** Removed with its anonymous volumes when it ends. */
  readonly autoRemove?: boolean
  readonly restart?: RestartPolicy
  readonly log?: LogSpec
  readonly mounts?: readonly MountSpec[]
  readonly network: NetworkModeSpec
  readonly ports?: readonly PortSpec[]
  readonly resources?: ResourceSpec
  readonly security?: SecuritySpec
  readonly namespaces?: NamespaceSpec
  readonly dns?: DnsSpec
  /** `name:address`; the address may be `host-gateway`. */
  readonly extraHosts?: readonly string[]
  /** `container:alias` for /etc/hosts and DNS of this container alone. */
  readonly links?: readonly string[]
  readonly sysctls?: Readonly<Record<string, string>>
  readonly ulimits?: readonly { readonly name: string; readonly soft: number; readonly hard: number }[]
  readonly devices?: readonly DeviceSpec[]
  readonly deviceCgroupRules?: readonly string[]
  readonly gpus?: readonly DeviceRequest[]
  readonly storageOpt?: Readonly<Record<string, string>>
  /** Run `/sbin/docker-init`-like pid 1 that reaps. */
  readonly init?: boolean
  readonly shmSizeBytes?: number | undefined
  readonly readOnlyRootfs?: boolean
}

/** Times in nanoseconds, as Docker's API has them; 0 or absent: inherit, then 30 s, 30 s, 0, 5 s and 3 retries. */
export interface HealthcheckSpec {
  /** `[]` inherit, `['NONE']`, `['CMD', …]`, `['CMD-SHELL', text]`. */
  readonly test?: readonly string[]
  readonly intervalNs?: number
  readonly timeoutNs?: number
  readonly startPeriodNs?: number
  readonly startIntervalNs?: number
  readonly retries?: number
}

export interface RestartPolicy {
  readonly name: 'no' | 'always' | 'unless-stopped' | 'on-failure'
  readonly maximumRetryCount?: number
}

/** `driver` defaults to json-file with 10m × 3. Options are kept as sent, for inspect. */
export interface LogSpec {
  readonly driver: 'json-file' | 'local' | 'none' | 'syslog' | 'journald'
  readonly options: Readonly<Record<string, string>>
}

export type MountSpec =
  | {
      readonly kind: 'bind'
      readonly source: string
      readonly target: string
      readonly readOnly?: boolean
      /** Make the missing source as a directory (short syntax); else its absence is an error. */
      readonly createHostPath?: boolean
      readonly propagation?: 'private' | 'rprivate' | 'shared' | 'rshared' | 'slave' | 'rslave' | undefined
      readonly recursive?: 'enabled' | 'disabled' | 'writable' | 'readonly' | undefined
      readonly consistency?: string | undefined
    }
  | {
      readonly kind: 'volume'
      /** Name of the volume; absent: an anonymous one is made. */
      readonly source?: string | undefined
      readonly target: string
      readonly readOnly?: boolean
      readonly nocopy?: boolean
      readonly subpath?: string | undefined
      readonly labels?: Readonly<Record<string, string>>
    }
  | {
      readonly kind: 'tmpfs'
      readonly target: string
      readonly readOnly?: boolean
      readonly sizeBytes?: number | undefined
      /** Mode bits, e.g. 0o1777. */
      readonly mode?: number | undefined
      /** Raw mount options as of `tmpfs: /run:size=64m,exec`. */
      readonly options?: readonly string[]
    }
  | {
      readonly kind: 'image'
      /** Image reference whose root (or subpath) is shown read-only. */
      readonly source: string
      readonly target: string
      readonly subpath?: string | undefined
    }
  | {
      /** A file made from data, for configs and secrets: written per container, shown by a bind mount. */
      readonly kind: 'data'
      readonly target: string
      readonly data: string
      readonly uid: number
      readonly gid: number
      readonly mode: number
    }

export type NetworkModeSpec =
  | { readonly kind: 'none' }
  | { readonly kind: 'host' }
  /** Shares the network namespace (and hosts, resolv.conf, hostname) of another container, by name or id. */
  | { readonly kind: 'container'; readonly container: string }
  /** On named networks; `bridge` is the engine's default network, which has no DNS names. The first is the primary. */
  | { readonly kind: 'networks'; readonly endpoints: readonly EndpointSpec[] }

export interface EndpointSpec {
  /** Name or id of the network. */
  readonly network: string
  readonly aliases?: readonly string[]
  /** `container:alias` */
  readonly links?: readonly string[]
  readonly ipv4Address?: string | undefined
  readonly ipv6Address?: string | undefined
  readonly linkLocalIps?: readonly string[]
  readonly macAddress?: string | undefined
  /** The endpoint with the highest one gives the default route. */
  readonly gwPriority?: number | undefined
  /** Name inside the container; default eth0, eth1, … */
  readonly interfaceName?: string | undefined
  readonly driverOpts?: Readonly<Record<string, string>>
}

export interface PortSpec {
  readonly containerPort: number
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  /** '' : all addresses, v4 and v6. */
  readonly hostIp: string
  /** 0: a free one is chosen at start. With `hostPortEnd`, a free one of the range. */
  readonly hostPort: number
  readonly hostPortEnd?: number
}

export interface DnsSpec {
  readonly servers?: readonly string[]
  readonly search?: readonly string[]
  readonly options?: readonly string[]
}
