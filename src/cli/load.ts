import { loadProject } from '../compose/load.ts'
import type { Project } from '../compose/types.ts'
import type { Session } from './session.ts'

export interface LoadRequest {
  /** Services that the verb names. */
  readonly services?: readonly string[]
  /** Keep only the named ones, without their dependencies. */
  readonly noDeps?: boolean
  /** All services stay in the project, whatever is named; profiles of the named ones are enabled. */
  readonly keepOthers?: boolean
}

export async function load(session: Session, request: LoadRequest): Promise<Project> {
  throw new Error('not yet')
}
