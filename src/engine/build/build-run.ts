import type { Emit } from '../../base/progress.ts'
import type { Dockerfile, Stage } from '../../dockerfile/instructions.ts'
import type { Platform } from '../content/manifest.ts'
import type { Images } from '../images/types.ts'
import type { Layer, Layers } from '../layers/types.ts'
import type { Networks } from '../networks/types.ts'
import type { Database } from '../state/database.ts'
import type { EnginePaths } from '../state/paths.ts'
import type { GlobalArgs } from './build-args.ts'
import type { SourceTree } from './source-tree.ts'
import type { StageState } from './stage-state.ts'
import type { StepCache } from './step-cache.ts'
import type { BuildEvent, BuildRequest } from './types.ts'

/** What the parts of one build share. */
export interface BuildRun {
  readonly db: Database
  readonly paths: EnginePaths
  readonly layers: Layers
  readonly images: Images
  readonly networks: Networks
  readonly env: NodeJS.ProcessEnv
  readonly cache: StepCache
  readonly request: BuildRequest
  readonly file: Dockerfile
  /** For errors. */
  readonly source: { readonly name: string; readonly text: string }
  readonly args: GlobalArgs
  readonly given: Readonly<Record<string, string>>
  readonly platform: Platform
  /** Seconds since 1970 that the image is dated; undefined: now. */
  readonly epoch: number | undefined
  readonly startedAt: Date
  readonly emit: Emit
  readonly onEvent: (event: BuildEvent) => void
  readonly signal: AbortSignal
  /** Runs steps, so many at once. */
  readonly limit: <T>(task: () => Promise<T>) => Promise<T>
  /** The stage's result, built once. */
  stage(index: number): Promise<StageState>
  /** Files of the build context. */
  context(): Promise<SourceTree>
  /** A named context or an image, by what FROM, --from or from= say. */
  external(name: string): Promise<External>
  findStage(name: string, before: number): number | undefined
  stageName(stage: Stage, index: number): string
}

/** Something outside the Dockerfile: an image with its config, or a directory. */
export type External =
  | { readonly kind: 'image'; readonly state: StageState; readonly layers: readonly Layer[]; readonly id: string }
  | { readonly kind: 'directory'; readonly tree: SourceTree }
