import type { Readable, Writable } from 'node:stream'
import type { Digest } from '../../base/digest.ts'
import type { Emit } from '../../base/progress.ts'
import type { Descriptor, Platform } from '../content/manifest.ts'
import type { Credentials } from '../registry/types.ts'

/** The `config` part of an OCI image config, in the file's own (Docker's) field names. */
export interface ImageRunConfig {
  readonly User?: string
  readonly ExposedPorts?: Readonly<Record<string, object>>
  readonly Env?: readonly string[]
  readonly Entrypoint?: readonly string[] | null
  readonly Cmd?: readonly string[] | null
  readonly Volumes?: Readonly<Record<string, object>> | null
  readonly WorkingDir?: string
  readonly Labels?: Readonly<Record<string, string>> | null
  readonly StopSignal?: string
  readonly Shell?: readonly string[]
  readonly OnBuild?: readonly string[] | null
  readonly Healthcheck?: {
    readonly Test?: readonly string[]
    readonly Interval?: number
    readonly Timeout?: number
    readonly StartPeriod?: number
    readonly StartInterval?: number
    readonly Retries?: number
  }
  readonly ArgsEscaped?: boolean
}

/** An OCI/Docker image config, as stored (unknown fields are kept in the bytes, not here). */
export interface ImageConfig {
  readonly architecture: string
  readonly os: string
  readonly variant?: string
  readonly created?: string
  readonly author?: string
  readonly config?: ImageRunConfig
  readonly rootfs: { readonly type: 'layers'; readonly diff_ids: readonly Digest[] }
  readonly history?: readonly {
    readonly created?: string
    readonly created_by?: string
    readonly author?: string
    readonly comment?: string
    readonly empty_layer?: boolean
  }[]
}

export interface Image {
  /** Digest of the config. */
  readonly id: Digest
  readonly config: ImageConfig
  /** Familiar references, `name:tag`. */
  readonly tags: readonly string[]
  /** `name@sha256:…` it was pulled by or pushed as. */
  readonly repoDigests: readonly string[]
  /** Of the unpacked layers. */
  readonly sizeBytes: number
  readonly createdAt: string
  /** When a tag was last put on it (RFC 3339). */
  readonly taggedAt: string
}

/** The layer directories of an image, top first, ready as overlay lower directories. */
export interface ImageRoot {
  readonly imageId: Digest
  readonly lowers: readonly string[]
}

/**
 * The images of the store. `ref`: name[:tag], name@digest, id or unique id prefix.
 * @throws TcomposeError NOT_FOUND `no such image: REF`
 */
export interface Images {
  get(ref: string): Promise<Image>
  find(ref: string): Promise<Image | undefined>
  list(filter?: {
    readonly references?: readonly string[]
    readonly dangling?: boolean
    readonly labels?: readonly string[]
  }): Promise<readonly Image[]>
  tag(ref: string, target: string): Promise<void>
  /** What was untagged and deleted, in Docker's order. @throws CONFLICT when a container uses it and not `force` */
  remove(
    ref: string,
    options?: { readonly force?: boolean; readonly noPrune?: boolean },
  ): Promise<{ readonly untagged: readonly string[]; readonly deleted: readonly string[] }>
  prune(options?: {
    readonly all?: boolean
    readonly labels?: readonly string[]
    /** Images with any of these stay. */
    readonly notLabels?: readonly string[]
    readonly olderThan?: string
  }): Promise<{ readonly removed: readonly string[]; readonly bytes: number }>
  /** Docker or OCI archive, plain, gzip or zstd. Gives the loaded references (or ids). */
  load(archive: Readable, emit: Emit, signal?: AbortSignal): Promise<readonly string[]>
  save(refs: readonly string[], out: Writable, options?: { readonly format?: 'docker' | 'oci' }): Promise<void>
  /**
   * Makes an image of a root file system tarball; with `base` (an image), the tar is one more layer on that one's.
   */
  import(
    tar: Readable,
    options: {
      readonly reference?: string
      readonly message?: string
      readonly author?: string
      /** For its history. */
      readonly createdBy?: string
      readonly config?: ImageRunConfig
      readonly platform?: string
      readonly base?: string
    },
  ): Promise<Image>
  /** Registers an image made here: its layers are in the layer store already. */
  put(config: ImageConfig, options?: { readonly references?: readonly string[] }): Promise<Image>
  /** Unpacked layers for a container or a build step; they cannot be collected while `holder` holds them. */
  root(ref: string): Promise<ImageRoot>
  history(ref: string): Promise<
    readonly {
      readonly id: string
      readonly created: string
      readonly createdBy: string
      readonly sizeBytes: number
      readonly comment: string
      readonly tags: readonly string[]
    }[]
  >
  pull(ref: string, options: PullOptions): Promise<Image>
  push(
    ref: string,
    options: {
      readonly emit: Emit
      readonly signal?: AbortSignal | undefined
      readonly insecure?: boolean
      readonly credentials?: Credentials | undefined
    },
  ): Promise<Digest>
  /** What a registry has under a name, without pulling it. @throws TcomposeError NOT_FOUND, DENIED, UNAVAILABLE */
  remote(
    ref: string,
    options?: { readonly signal?: AbortSignal | undefined; readonly credentials?: Credentials | undefined },
  ): Promise<{ readonly descriptor: Descriptor; readonly platforms: readonly Platform[] }>
  /** Bytes on disk: of all layers of images together, and of each image those that others have too. */
  usage(): Promise<{ readonly layersBytes: number; readonly sharedBytes: ReadonlyMap<Digest, number> }>
  reconcile(): Promise<void>
}

export interface PullOptions {
  readonly emit: Emit
  readonly platform?: string | undefined
  readonly signal?: AbortSignal | undefined
  readonly insecure?: boolean
  /** Instead of those in Docker's configuration. */
  readonly credentials?: Credentials | undefined
}
