export interface VolumeSpec {
  /** Absent: anonymous, 64 hex digits. */
  readonly name?: string | undefined
  /** Anonymous in spite of its name: whoever asks for it has chosen one beforehand. */
  readonly anonymous?: boolean
  readonly driver?: string
  readonly driverOpts?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
}

export interface Volume {
  readonly name: string
  readonly driver: string
  readonly driverOpts: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly createdAt: string
  /** Directory on the host whose content the volume is. */
  readonly mountpoint: string
  readonly anonymous: boolean
}

/** @throws TcomposeError NOT_FOUND `no such volume: X`; CONFLICT `volume is in use - [ids]` */
export interface Volumes {
  /** The existing one is returned when it has the same driver and options. */
  create(spec: VolumeSpec): Promise<Volume>
  get(name: string): Promise<Volume>
  find(name: string): Promise<Volume | undefined>
  list(filter?: {
    readonly labels?: readonly string[]
    readonly dangling?: boolean
    readonly names?: readonly string[]
  }): Promise<readonly Volume[]>
  remove(name: string, options?: { readonly force?: boolean }): Promise<void>
  prune(filter?: {
    readonly labels?: readonly string[]
    /** Volumes with any of these stay. */
    readonly notLabels?: readonly string[]
    readonly all?: boolean
  }): Promise<{ readonly removed: readonly string[]; readonly bytes: number }>
  /** Bytes that its content takes on disk. */
  usedBytes(name: string, signal?: AbortSignal): Promise<number>
  /** Makes it ready for a container (mounts `driver_opts` devices, …) and gives the directory to bind. */
  use(name: string, containerId: string): Promise<string>
  /** Copies `source` (a directory of a mounted image root, opened confined) in, once, if the volume is still empty. */
  populate(name: string, image: { readonly lowers: readonly string[] }, path: string): Promise<void>
  /** Ends `use`; unmounts when nobody is left. */
  release(name: string, containerId: string): Promise<void>
  reconcile(): Promise<void>
}
