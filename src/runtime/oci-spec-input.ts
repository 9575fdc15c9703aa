import type { OciDevice, OciDeviceRule, OciHooks, OciUser } from './oci-spec-types.ts'

/** Everything `buildOciSpec` needs to know; all look-ups (users, devices, profiles, other containers) are done before. */
export interface OciSpecInput {
  /** Names the cgroup: `/<cgroupParent or instance>/<id>`. */
  readonly id: string
  readonly instance: string
  readonly rootPath: string
  readonly readOnlyRootfs?: boolean
  readonly args: readonly string[]
  /** Complete, see `processEnv`. */
  readonly env: readonly string[]
  readonly cwd: string
  readonly user: OciUser
  readonly tty?: boolean
  /** Host path of the program that is to be pid 1 before the command. */
  readonly initPath?: string | undefined
  /** Absent in the host's UTS namespace. */
  readonly hostname?: string | undefined
  readonly domainname?: string | undefined
  readonly network: NetworkNamespaceInput
  readonly namespaces?: ResolvedNamespaces
  readonly mounts?: readonly SpecMount[]
  /** Host files shown at /etc/resolv.conf, /etc/hostname and /etc/hosts, unless a mount covers the place. */
  readonly files?: {
    readonly resolvConf?: string | undefined
    readonly hostname?: string | undefined
    readonly hosts?: string | undefined
  }
  readonly shmSizeBytes?: number | undefined
  readonly resources?: ResourceSpec
  readonly security?: SecuritySpec
  readonly sysctls?: Readonly<Record<string, string>>
  readonly ulimits?: readonly { readonly name: string; readonly soft: number; readonly hard: number }[]
  readonly devices?: ResolvedDevices
  /** `c 1:3 rwm`, `a *:* rwm`, as in Docker's `--device-cgroup-rule`. */
  readonly deviceCgroupRules?: readonly string[]
  readonly annotations?: Readonly<Record<string, string>>
  readonly hooks?: OciHooks
  readonly host: HostFacts
}

/**
 * `own`: the shim made a namespace and lives in it, so runc is told nothing and stays there, and the shim sets the
 * network sysctls; `new`: runc makes an empty one; `path`: that one is joined.
 */
export type NetworkNamespaceInput =
  | { readonly kind: 'own' }
  | { readonly kind: 'new' }
  | { readonly kind: 'host' }
  | { readonly kind: 'path'; readonly path: string }

/** `private`, `host`, or the /proc/PID/ns/… path of another container's. */
export interface ResolvedNamespaces {
  readonly pid?: ResolvedNamespace
  readonly ipc?: ResolvedNamespace
  readonly uts?: ResolvedNamespace
  /** Default: private on cgroup v2, the host's on v1. */
  readonly cgroup?: ResolvedNamespace
  /** Host directory to show at /dev/shm when the ipc namespace is shared; false: none at all. */
  readonly shm?: string | false | undefined
}

export type ResolvedNamespace =
  | { readonly kind: 'private' }
  | { readonly kind: 'host' }
  | { readonly kind: 'path'; readonly path: string }

export type SpecMount =
  | {
      readonly kind: 'bind'
      readonly source: string
      readonly target: string
      readonly readOnly?: boolean
      /** `rprivate` by default; volumes as Docker mounts them have none. */
      readonly propagation?: string | undefined
      readonly recursive?: 'enabled' | 'disabled' | 'writable' | 'readonly' | undefined
      /** In place of all that, for mounts that a vendor describes. */
      readonly options?: readonly string[]
    }
  | {
      readonly kind: 'tmpfs'
      readonly target: string
      readonly readOnly?: boolean
      readonly sizeBytes?: number | undefined
      readonly mode?: number | undefined
      /** Raw mount options. */
      readonly options?: readonly string[]
    }

export interface ResolvedDevices {
  readonly nodes: readonly OciDevice[]
  readonly rules: readonly OciDeviceRule[]
}

/** What the host can do and this process may do; read once by `readHostFacts`. */
export interface HostFacts {
  /** Node's name of the processor: `x64`, `arm64`, … */
  readonly arch: string
  readonly cgroupVersion: 1 | 2
  /** Whether swap is accounted (memory.memsw on v1). */
  readonly swapLimit: boolean
  /** Names of our own bounding set: no container gets more. */
  readonly capabilities: readonly string[]
  /** Lowest oom_score_adj this process may set. */
  readonly oomScoreAdjFloor: number
  readonly apparmor: boolean
  readonly selinux: boolean
  /** May raise hard limits (CAP_SYS_RESOURCE). */
  readonly mayRaiseLimits: boolean
  /** Hard limits of this process by name (`nofile`), Infinity for none. */
  readonly hardLimits: Readonly<Record<string, number>>
  /** Device nodes below the host's /dev, for privileged containers. */
  readonly devices: readonly OciDevice[]
}

export interface ResourceSpec {
  readonly memoryBytes?: number
  readonly memoryReservationBytes?: number
  /** Memory + swap; -1 unlimited. */
  readonly memorySwapBytes?: number
  readonly memorySwappiness?: number
  readonly oomKillDisable?: boolean
  readonly oomScoreAdj?: number
  readonly nanoCpus?: number
  readonly cpuShares?: number
  readonly cpuPeriod?: number
  readonly cpuQuota?: number
  readonly cpuRealtimePeriod?: number
  readonly cpuRealtimeRuntime?: number
  readonly cpusetCpus?: string
  readonly cpusetMems?: string
  readonly pidsLimit?: number
  readonly blkioWeight?: number
  readonly blkioWeightDevice?: readonly { readonly path: string; readonly weight: number }[]
  readonly blkioDeviceReadBps?: readonly { readonly path: string; readonly rate: number }[]
  readonly blkioDeviceWriteBps?: readonly { readonly path: string; readonly rate: number }[]
  readonly blkioDeviceReadIops?: readonly { readonly path: string; readonly rate: number }[]
  readonly blkioDeviceWriteIops?: readonly { readonly path: string; readonly rate: number }[]
  readonly cgroupParent?: string
}

export interface SecuritySpec {
  readonly privileged?: boolean
  readonly capAdd?: readonly string[]
  readonly capDrop?: readonly string[]
  /** `seccomp=…`, `no-new-privileges[:true]`, `apparmor=…`, `label=…`, `systempaths=unconfined`. */
  readonly options?: readonly string[]
  readonly maskedPaths?: readonly string[]
  readonly readonlyPaths?: readonly string[]
}

export interface NamespaceSpec {
  /** `host`, `container:ID`, `` (private). */
  readonly pid?: string
  /** `host`, `container:ID`, `shareable`, `private`, `none`, ``. */
  readonly ipc?: string
  /** `host` or ``. */
  readonly uts?: string
  /** `host`, `private`, ``. */
  readonly cgroup?: string
  /** `host` or ``. */
  readonly user?: string
}

export interface DeviceSpec {
  readonly source: string
  readonly target: string
  /** Some of `rwm`. */
  readonly permissions: string
}

/** A request for devices by driver or CDI name (`gpus`, `deploy.resources.reservations.devices`). */
export interface DeviceRequest {
  readonly driver?: string
  /** -1: all. */
  readonly count?: number
  readonly deviceIds?: readonly string[]
  readonly capabilities?: readonly (readonly string[])[]
  readonly options?: Readonly<Record<string, string>>
}
