import type { Builder } from './build/types.ts'
import type { Containers } from './containers/types.ts'
import type { Events } from './events/types.ts'
import type { Images } from './images/types.ts'
import type { Networks } from './networks/types.ts'
import type { EnginePaths } from './state/paths.ts'
import type { Volumes } from './volumes/types.ts'

/** The embedded engine on one state root. Any number of processes may have it open at once. */
export interface Engine extends AsyncDisposable {
  readonly paths: EnginePaths
  readonly containers: Containers
  readonly images: Images
  readonly networks: Networks
  readonly volumes: Volumes
  readonly builder: Builder
  readonly events: Events
  /** Repairs what killed processes left, in all parts. `openEngine` does the cheap part of it by itself. */
  reconcile(): Promise<void>
}
