import type { Ip } from '../../platform/ip-process.ts'
import type { Nft } from '../../platform/nft-process.ts'
import type { Events } from '../events/types.ts'
import type { Database } from '../state/database.ts'
import type { EnginePaths } from '../state/paths.ts'

export interface NetworkDeps {
  readonly db: Database
  readonly paths: EnginePaths
  readonly events: Events
}

/** What the parts of this folder share. */
export interface NetworkContext extends NetworkDeps {
  readonly ip: Ip
  readonly nft: Nft
  /** Name of our nft table. */
  readonly table: string
}
