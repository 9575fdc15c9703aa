/**
 * The parts of the OCI runtime specification (config.json) that are generated here, in the specification's field names.
 * Source: https://github.com/opencontainers/runtime-spec, version 1.0.2.
 */
export interface OciSpec {
  readonly ociVersion: string
  readonly process: OciProcess
  readonly root: { readonly path: string; readonly readonly?: boolean }
  readonly hostname?: string
  readonly mounts: readonly OciMount[]
  readonly annotations?: Readonly<Record<string, string>>
  readonly hooks?: OciHooks
  readonly linux: OciLinux
}

/** By moment: `createRuntime`, `createContainer`, `startContainer`, `poststart`, `poststop`, `prestart`. */
export type OciHooks = Readonly<Record<string, readonly OciHook[]>>

export interface OciHook {
  readonly path: string
  readonly args?: readonly string[]
  readonly env?: readonly string[]
  /** Seconds. */
  readonly timeout?: number
}

export interface OciProcess {
  readonly terminal?: boolean
  readonly user: OciUser
  readonly args: readonly string[]
  readonly env: readonly string[]
  readonly cwd: string
  readonly capabilities: OciCapabilities
  readonly rlimits?: readonly OciRlimit[]
  readonly noNewPrivileges?: boolean
  readonly apparmorProfile?: string
  readonly selinuxLabel?: string
  readonly oomScoreAdj?: number
}

export interface OciUser {
  readonly uid: number
  readonly gid: number
  readonly umask?: number
  readonly additionalGids?: readonly number[]
}

/** Each a list of `CAP_…` names. */
export interface OciCapabilities {
  readonly bounding: readonly string[]
  readonly effective?: readonly string[]
  readonly permitted?: readonly string[]
  readonly inheritable?: readonly string[]
  readonly ambient?: readonly string[]
}

export interface OciRlimit {
  /** `RLIMIT_NOFILE`, … */
  readonly type: string
  readonly hard: Uint64
  readonly soft: Uint64
}

/** A number, or digits (JSON.rawJSON) where a number would lose some. */
export type Uint64 = number | { readonly rawJSON: string }

export interface OciMount {
  readonly destination: string
  readonly type: string
  readonly source: string
  readonly options: readonly string[]
}

export type OciNamespaceType = 'mount' | 'network' | 'uts' | 'pid' | 'ipc' | 'cgroup' | 'user'

export interface OciLinux {
  readonly sysctl?: Readonly<Record<string, string>>
  readonly resources: OciResources
  readonly cgroupsPath: string
  readonly namespaces: readonly { readonly type: OciNamespaceType; readonly path?: string }[]
  readonly devices?: readonly OciDevice[]
  readonly seccomp?: OciSeccomp
  readonly rootfsPropagation?: string
  readonly maskedPaths?: readonly string[]
  readonly readonlyPaths?: readonly string[]
  readonly mountLabel?: string
}

export interface OciDevice {
  readonly path: string
  readonly type: 'c' | 'b' | 'p' | 'u'
  readonly major?: number
  readonly minor?: number
  readonly fileMode?: number
  readonly uid?: number
  readonly gid?: number
}

export interface OciDeviceRule {
  readonly allow: boolean
  readonly type?: 'a' | 'c' | 'b'
  readonly major?: number
  readonly minor?: number
  /** Some of `rwm`. */
  readonly access: string
}

export interface OciThrottle {
  readonly major: number
  readonly minor: number
  readonly rate: number
}

export interface OciResources {
  readonly devices?: readonly OciDeviceRule[]
  readonly memory?: {
    readonly limit?: number
    readonly reservation?: number
    readonly swap?: number
    readonly kernel?: number
    readonly swappiness?: number
    readonly disableOOMKiller?: boolean
  }
  readonly cpu?: {
    readonly shares?: number
    readonly quota?: number
    readonly period?: number
    readonly realtimeRuntime?: number
    readonly realtimePeriod?: number
    readonly cpus?: string
    readonly mems?: string
  }
  readonly pids?: { readonly limit: number }
  readonly blockIO?: {
    readonly weight?: number
    readonly weightDevice?: readonly { readonly major: number; readonly minor: number; readonly weight: number }[]
    readonly throttleReadBpsDevice?: readonly OciThrottle[]
    readonly throttleWriteBpsDevice?: readonly OciThrottle[]
    readonly throttleReadIOPSDevice?: readonly OciThrottle[]
    readonly throttleWriteIOPSDevice?: readonly OciThrottle[]
  }
}

export interface OciSeccomp {
  readonly defaultAction: string
  readonly defaultErrnoRet?: number
  readonly architectures?: readonly string[]
  readonly flags?: readonly string[]
  readonly listenerPath?: string
  readonly listenerMetadata?: string
  readonly syscalls: readonly OciSeccompRule[]
}

export interface OciSeccompRule {
  readonly names: readonly string[]
  readonly action: string
  readonly errnoRet?: number
  readonly args?: readonly {
    readonly index: number
    readonly value: number
    readonly valueTwo?: number
    readonly op: string
  }[]
}
