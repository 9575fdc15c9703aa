/**
 * One step of visible progress. `id` names the thing ("Container web-1", "Network app_default"); events with the same
 * `id` replace each other. The wording follows Compose: `Container x`, status text `Creating` → `Created`.
 */
export interface ProgressEvent {
  readonly id: string
  readonly parentId?: string
  readonly status: 'working' | 'done' | 'warning' | 'error' | 'skipped'
  /** `Creating`, `Created`, `Pulling`, … */
  readonly text: string
  /** Free detail after the text: a reason, a byte count. */
  readonly details?: string
  readonly current?: number
  readonly total?: number
}

/** A sink for progress. Code below `ui` never writes to the console; it emits. */
export type Emit = (event: ProgressEvent) => void

export const silent: Emit = () => {}
