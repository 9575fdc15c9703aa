import type { Readable } from 'node:stream'
import type { Digest } from '../../base/digest.ts'
import type { Emit } from '../../base/progress.ts'
import type { Credentials } from '../registry/types.ts'

export type BuildContext =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'tar'; readonly stream: Readable }
  | { readonly kind: 'git'; readonly url: string }
  | { readonly kind: 'image'; readonly reference: string }
  | { readonly kind: 'oci-layout'; readonly path: string; readonly reference?: string }
  | { readonly kind: 'url'; readonly url: string }

export interface BuildRequest {
  readonly context: BuildContext
  /** Path of the Dockerfile, relative to the context or absolute; default `Dockerfile`. */
  readonly dockerfile?: string | undefined
  readonly dockerfileInline?: string | undefined
  readonly target?: string | undefined
  readonly args?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly tags?: readonly string[]
  readonly contexts?: Readonly<Record<string, BuildContext>>
  readonly platforms?: readonly string[]
  readonly secrets?: readonly {
    readonly id: string
    readonly file?: string
    readonly env?: string
    readonly data?: string
  }[]
  readonly ssh?: readonly string[]
  readonly noCache?: boolean
  readonly noCacheFilter?: readonly string[]
  readonly pull?: boolean
  readonly network?: string | undefined
  readonly shmSizeBytes?: number | undefined
  readonly ulimits?: readonly { readonly name: string; readonly soft: number; readonly hard: number }[]
  readonly extraHosts?: readonly string[]
  readonly entitlements?: readonly string[]
  readonly privileged?: boolean
  readonly cacheFrom?: readonly string[]
  readonly cacheTo?: readonly string[]
  /** For registries by host (`docker.io` for Docker Hub), instead of those in Docker's configuration. */
  readonly credentials?: Readonly<Record<string, Credentials>>
  readonly attestations?: Readonly<Record<string, string>>
  readonly outputs?: readonly BuildOutput[]
  readonly check?: boolean
}

export type BuildOutput =
  | { readonly kind: 'image' }
  | { readonly kind: 'oci' | 'docker' | 'tar'; readonly path: string }
  | { readonly kind: 'local'; readonly path: string }

/** Progress of a build beyond plain events: one vertex per step, its log lines as they come. */
export type BuildEvent =
  | {
      readonly kind: 'step'
      readonly id: string
      readonly name: string
      readonly state: 'started' | 'done' | 'cached' | 'error' | 'canceled'
      readonly ms?: number
      readonly error?: string
    }
  | { readonly kind: 'log'; readonly id: string; readonly stream: 'stdout' | 'stderr'; readonly text: string }
  | {
      readonly kind: 'warning'
      readonly rule: string
      readonly message: string
      readonly line: number
      readonly url?: string
    }

export interface BuildResult {
  /** Absent for `check` and for outputs that make no image. */
  readonly imageId?: Digest
  readonly warnings: readonly Extract<BuildEvent, { kind: 'warning' }>[]
}

/**
 * Builds images from Dockerfiles. Steps are shared with builds that run at the same time and cached by content.
 * @throws TcomposeError FAILED with `at` (Dockerfile:line) and the step's last output; INVALID for a bad Dockerfile
 */
export interface Builder {
  build(
    request: BuildRequest,
    options: {
      readonly emit: Emit
      readonly onEvent?: (event: BuildEvent) => void
      readonly signal?: AbortSignal | undefined
    },
  ): Promise<BuildResult>
  /** The results of steps that are kept. */
  cached(): Promise<
    readonly {
      readonly key: string
      readonly sizeBytes: number
      readonly createdAt: string
      readonly usedAt: string
      /** Whether an image has its layer too. */
      readonly shared: boolean
    }[]
  >
  /** Removes cache entries: least recently used first, until `keepBytes` are left; all unused ones without it. */
  prune(options?: {
    readonly all?: boolean
    readonly keepBytes?: number
    readonly olderThan?: string
  }): Promise<{ readonly removed: readonly string[]; readonly bytes: number }>
}
