/**
 * The compose model after loading: complete, canonical, read only. Attributes keep the names of the compose file, so that
 * this model, `config` and the specification read alike. Canonical means: long forms only; sizes are strings of bytes;
 * durations are Go style (`1m30s`); booleans and numbers are such; maps are maps; names carry the project; paths are
 * absolute. What the file does not say and Compose does not default is absent. (With `--no-normalize` and its like,
 * parts of that are skipped, and the result is meant for printing only.)
 */
export interface Project extends Extensions {
  readonly name: string
  readonly working_dir: string
  /** Absolute, in the order of `-f`; `-` for stdin. Included and extended files are not listed. */
  readonly compose_files: readonly string[]
  /** Given by `--env-file` or COMPOSE_ENV_FILES; absolute. */
  readonly env_files: readonly string[]
  /** Variables known to interpolation: shell, then env files. */
  readonly environment: Readonly<Record<string, string>>
  /** Profiles that are enabled. */
  readonly profiles: readonly string[]
  readonly services: Readonly<Record<string, Service>>
  /** In the file, but not enabled by a profile or not selected. */
  readonly disabled_services: Readonly<Record<string, Service>>
  readonly networks: Readonly<Record<string, NetworkConfig>>
  readonly volumes: Readonly<Record<string, VolumeConfig>>
  readonly configs: Readonly<Record<string, FileObject>>
  readonly secrets: Readonly<Record<string, FileObject>>
  readonly models: Readonly<Record<string, ModelConfig>>
}

/** `x-*` attributes are kept wherever the file has them. */
export interface Extensions {
  readonly [extension: `x-${string}`]: unknown
}

export type Labels = Readonly<Record<string, string>>
/** null: named without a value, and unset in the environment. */
export type Environment = Readonly<Record<string, string | null>>
export type Options = Readonly<Record<string, string>>
/** A string of decimal bytes, `"52428800"`. */
export type Bytes = string
/** Go style, `1m30s`. */
export type Duration = string

export interface Service extends Extensions {
  readonly annotations?: Labels
  readonly attach?: boolean
  readonly blkio_config?: BlkioConfig
  readonly build?: BuildConfig
  readonly cap_add?: readonly string[]
  readonly cap_drop?: readonly string[]
  readonly cgroup?: 'host' | 'private'
  readonly cgroup_parent?: string
  /** null or absent: the image's. Empty: none. */
  readonly command?: readonly string[] | null
  readonly configs?: readonly FileReference[]
  readonly container_name?: string
  readonly cpu_count?: number
  readonly cpu_percent?: number
  readonly cpu_period?: number
  readonly cpu_quota?: number
  readonly cpu_rt_period?: number
  readonly cpu_rt_runtime?: number
  readonly cpu_shares?: number
  readonly cpus?: number
  readonly cpuset?: string
  readonly credential_spec?: { readonly config?: string; readonly file?: string; readonly registry?: string }
  readonly depends_on?: Readonly<Record<string, ServiceDependency>>
  readonly deploy?: DeployConfig
  readonly develop?: { readonly watch?: readonly WatchRule[] } & Extensions
  readonly device_cgroup_rules?: readonly string[]
  readonly devices?: readonly DeviceMapping[]
  readonly dns?: readonly string[]
  readonly dns_opt?: readonly string[]
  readonly dns_search?: readonly string[]
  readonly domainname?: string
  /** null or absent: the image's. Empty: none. */
  readonly entrypoint?: readonly string[] | null
  /** Only with `--no-env-resolution`; otherwise folded into `environment`. */
  readonly env_file?: readonly EnvFile[]
  readonly environment?: Environment
  readonly expose?: readonly string[]
  readonly extends?: { readonly service: string; readonly file?: string }
  readonly external_links?: readonly string[]
  /** `host=address` */
  readonly extra_hosts?: readonly string[]
  readonly gpus?: readonly DeviceRequest[]
  readonly group_add?: readonly string[]
  readonly healthcheck?: Healthcheck
  readonly hostname?: string
  readonly image?: string
  readonly init?: boolean
  readonly ipc?: string
  readonly isolation?: string
  /** Already read into `labels`, except with `--no-env-resolution`. */
  readonly label_file?: readonly string[]
  readonly labels?: Labels
  readonly links?: readonly string[]
  readonly logging?: { readonly driver?: string; readonly options?: Options } & Extensions
  readonly mac_address?: string
  readonly mem_limit?: Bytes
  readonly mem_reservation?: Bytes
  readonly mem_swappiness?: string
  readonly memswap_limit?: Bytes
  readonly models?: Readonly<Record<string, { readonly endpoint_var?: string; readonly model_var?: string } | null>>
  readonly network_mode?: string
  readonly networks?: Readonly<Record<string, ServiceNetwork | null>>
  readonly oom_kill_disable?: boolean
  readonly oom_score_adj?: number
  readonly pid?: string
  readonly pids_limit?: number
  readonly platform?: string
  readonly ports?: readonly PortMapping[]
  readonly post_start?: readonly Hook[]
  readonly pre_start?: readonly PreStartHook[]
  readonly pre_stop?: readonly Hook[]
  readonly privileged?: boolean
  readonly profiles?: readonly string[]
  readonly provider?: {
    readonly type: string
    readonly options?: Readonly<Record<string, readonly string[]>>
  } & Extensions
  readonly pull_policy?: string
  readonly pull_refresh_after?: string
  readonly read_only?: boolean
  readonly restart?: string
  readonly runtime?: string
  readonly scale?: number
  readonly secrets?: readonly FileReference[]
  readonly security_opt?: readonly string[]
  readonly shm_size?: Bytes
  readonly stdin_open?: boolean
  readonly stop_grace_period?: Duration
  readonly stop_signal?: string
  readonly storage_opt?: Options
  readonly sysctls?: Options
  readonly tmpfs?: readonly string[]
  readonly tty?: boolean
  readonly ulimits?: Ulimits
  readonly use_api_socket?: boolean
  readonly user?: string
  readonly userns_mode?: string
  readonly uts?: string
  readonly volumes?: readonly ServiceVolume[]
  readonly volumes_from?: readonly string[]
  readonly working_dir?: string
}

export interface ServiceDependency extends Extensions {
  readonly condition: 'service_started' | 'service_healthy' | 'service_completed_successfully'
  readonly required: boolean
  readonly restart?: boolean
}

export interface BuildConfig extends Extensions {
  /** Absolute path, URL or reference; absent together with `dockerfile` in a build that has neither. */
  readonly context?: string
  readonly dockerfile?: string
  readonly dockerfile_inline?: string
  readonly additional_contexts?: Options
  readonly args?: Environment
  readonly cache_from?: readonly string[]
  readonly cache_to?: readonly string[]
  readonly entitlements?: readonly string[]
  readonly extra_hosts?: readonly string[]
  readonly isolation?: string
  readonly labels?: Labels
  readonly network?: string
  readonly no_cache?: boolean
  readonly no_cache_filter?: readonly string[]
  readonly platforms?: readonly string[]
  readonly privileged?: boolean
  /** `true`, `false` or attestation parameters. */
  readonly provenance?: string
  readonly pull?: boolean
  readonly sbom?: string
  readonly secrets?: readonly FileReference[]
  readonly shm_size?: Bytes
  /** `id` or `id=path` */
  readonly ssh?: readonly string[]
  readonly tags?: readonly string[]
  readonly target?: string
  readonly ulimits?: Ulimits
}

/** One number for both limits, or soft and hard. */
export type Ulimits = Readonly<Record<string, number | { readonly soft: number; readonly hard: number }>>

export interface BlkioConfig extends Extensions {
  readonly weight?: number
  readonly weight_device?: readonly { readonly path: string; readonly weight: number }[]
  readonly device_read_bps?: readonly ThrottleDevice[]
  readonly device_read_iops?: readonly ThrottleDevice[]
  readonly device_write_bps?: readonly ThrottleDevice[]
  readonly device_write_iops?: readonly ThrottleDevice[]
}

export interface ThrottleDevice {
  readonly path: string
  /** Bytes or operations a second, in decimal digits. */
  readonly rate: Bytes
}

export interface DeployConfig extends Extensions {
  readonly mode?: string
  readonly endpoint_mode?: string
  readonly replicas?: number
  readonly labels?: Labels
  readonly update_config?: RolloutConfig
  readonly rollback_config?: RolloutConfig
  readonly resources?: { readonly limits?: ResourceLimits; readonly reservations?: ResourceReservations } & Extensions
  readonly restart_policy?: {
    readonly condition?: string
    readonly delay?: Duration
    readonly max_attempts?: number
    readonly window?: Duration
  } & Extensions
  readonly placement?: {
    readonly constraints?: readonly string[]
    readonly preferences?: readonly { readonly spread?: string }[]
    readonly max_replicas_per_node?: number
  } & Extensions
}

export interface RolloutConfig extends Extensions {
  readonly parallelism?: number
  readonly delay?: Duration
  readonly failure_action?: string
  readonly monitor?: Duration
  readonly max_failure_ratio?: number
  readonly order?: 'start-first' | 'stop-first'
}

export interface ResourceLimits extends Extensions {
  readonly cpus?: number
  readonly memory?: Bytes
  readonly pids?: number
}

export interface ResourceReservations extends Extensions {
  readonly cpus?: number
  readonly memory?: Bytes
  readonly devices?: readonly DeviceRequest[]
  readonly generic_resources?: readonly {
    readonly discrete_resource_spec?: { readonly kind?: string; readonly value?: number }
  }[]
}

export interface DeviceRequest extends Extensions {
  readonly capabilities?: readonly string[]
  /** -1: all there are. */
  readonly count?: number
  readonly device_ids?: readonly string[]
  readonly driver?: string
  readonly options?: Options
}

export interface DeviceMapping extends Extensions {
  readonly source: string
  readonly target?: string
  readonly permissions?: string
}

export interface EnvFile {
  readonly path: string
  readonly required?: boolean
  readonly format?: string
}

export interface FileReference extends Extensions {
  readonly source: string
  /** Secrets: `/run/secrets/<source>` unless the file says otherwise. Configs: absent means `/<source>`. */
  readonly target?: string
  readonly uid?: string
  readonly gid?: string
  /** Octal digits, `"0440"`. */
  readonly mode?: string
}

export interface Healthcheck extends Extensions {
  readonly disable?: boolean
  readonly interval?: Duration
  readonly retries?: number
  readonly start_interval?: Duration
  readonly start_period?: Duration
  /** First word NONE, CMD or CMD-SHELL. */
  readonly test?: readonly string[]
  readonly timeout?: Duration
}

export interface Hook extends Extensions {
  readonly command?: readonly string[]
  readonly user?: string
  readonly privileged?: boolean
  readonly working_dir?: string
  readonly environment?: Environment
}

export interface PreStartHook extends Hook {
  readonly image?: string
  readonly per_replica?: boolean
}

export interface WatchRule extends Extensions {
  readonly action: 'rebuild' | 'sync' | 'restart' | 'sync+restart' | 'sync+exec'
  readonly path: string
  readonly target?: string
  readonly ignore?: readonly string[]
  readonly include?: readonly string[]
  readonly initial_sync?: boolean
  readonly exec?: Hook
}

export interface PortMapping extends Extensions {
  readonly name?: string
  readonly mode?: string
  readonly host_ip?: string
  readonly target: number
  /** A port, a range (`8000-9000`) of which one is taken, or absent: any free one. */
  readonly published?: string
  readonly protocol?: string
  readonly app_protocol?: string
}

export interface ServiceNetwork extends Extensions {
  readonly aliases?: readonly string[]
  readonly driver_opts?: Options
  readonly gw_priority?: number
  readonly interface_name?: string
  readonly ipv4_address?: string
  readonly ipv6_address?: string
  readonly link_local_ips?: readonly string[]
  readonly mac_address?: string
  readonly priority?: number
}

export interface ServiceVolume extends Extensions {
  readonly type: 'bind' | 'volume' | 'tmpfs' | 'image' | 'cluster' | 'npipe'
  readonly source?: string
  readonly target: string
  readonly read_only?: boolean
  readonly consistency?: string
  readonly bind?: {
    readonly propagation?: string
    /** Absent means true. */
    readonly create_host_path?: boolean
    readonly recursive?: 'enabled' | 'disabled' | 'writable' | 'readonly'
    readonly selinux?: 'z' | 'Z'
  } & Extensions
  readonly volume?: { readonly labels?: Labels; readonly nocopy?: boolean; readonly subpath?: string } & Extensions
  readonly tmpfs?: { readonly size?: Bytes; readonly mode?: number } & Extensions
  readonly image?: { readonly subpath?: string } & Extensions
}

export interface NetworkConfig extends Extensions {
  readonly name?: string
  readonly driver?: string
  readonly driver_opts?: Options
  readonly ipam?: {
    readonly driver?: string
    readonly config?: readonly IpamPool[]
    readonly options?: Options
  } & Extensions
  readonly external?: boolean
  readonly internal?: boolean
  readonly attachable?: boolean
  readonly enable_ipv4?: boolean
  readonly enable_ipv6?: boolean
  readonly labels?: Labels
}

export interface IpamPool extends Extensions {
  readonly subnet?: string
  readonly ip_range?: string
  readonly gateway?: string
  readonly aux_addresses?: Options
}

export interface VolumeConfig extends Extensions {
  readonly name?: string
  readonly driver?: string
  readonly driver_opts?: Options
  readonly external?: boolean
  readonly labels?: Labels
}

/** A config or a secret. */
export interface FileObject extends Extensions {
  readonly name?: string
  readonly file?: string
  readonly environment?: string
  readonly content?: string
  readonly external?: boolean
  readonly labels?: Labels
  readonly driver?: string
  readonly driver_opts?: Options
  readonly template_driver?: string
}

export interface ModelConfig extends Extensions {
  readonly name?: string
  readonly model?: string
  readonly context_size?: number
  readonly runtime_flags?: readonly string[]
}

/** Something a user should know that does not stop the load. */
export interface Warning {
  readonly message: string
  /** `file:line:column` or less. */
  readonly at?: string | undefined
}

/** What a load is asked for. Everything but `cwd` and `env` may be left out. */
export interface LoadOptions {
  /** Where discovery starts and relative `-f` paths are read from. */
  readonly cwd: string
  /** The shell's environment; `COMPOSE_*` variables are taken from it too. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** `-f`, in order; `-` reads `stdin`. Empty: COMPOSE_FILE, else discovery. */
  readonly files?: readonly string[]
  readonly projectName?: string | undefined
  readonly projectDirectory?: string | undefined
  readonly profiles?: readonly string[]
  readonly envFiles?: readonly string[]
  /** Text of `-f -`. */
  readonly stdin?: () => Promise<string>
  /** Services to keep, with what they depend on. Empty: all that profiles enable. */
  readonly services?: readonly string[]
  /** With `services`: leave their dependencies out. */
  readonly noDeps?: boolean
  /** Select nothing: only let the profiles of `services` be enabled, as `run` needs it. */
  readonly keepOthers?: boolean
  /** Keep networks, volumes, configs and secrets that no service uses. */
  readonly allResources?: boolean
  readonly noInterpolate?: boolean
  readonly noNormalize?: boolean
  readonly noPathResolution?: boolean
  readonly noConsistency?: boolean
  /** Leave `env_file` and `label_file` unread. */
  readonly noEnvResolution?: boolean
  readonly signal?: AbortSignal | undefined
}

export interface LoadedProject {
  readonly project: Project
  readonly warnings: readonly Warning[]
  /** Variables the files mention, for `config --variables`. */
  readonly variables: readonly Variable[]
}

export interface Variable {
  readonly name: string
  readonly required: boolean
  readonly default: string
  /** Value of `:+`. */
  readonly alternate: string
}
