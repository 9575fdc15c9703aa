/** One event of the feed, in Docker's words (`container` `start`, `health_status: healthy`, `network` `connect`). */
export interface EngineEvent {
  readonly sequence: number
  /** Nanoseconds since 1970, as decimal digits: it does not fit a number. */
  readonly timeNs: string
  readonly type: 'container' | 'image' | 'network' | 'volume' | 'builder'
  readonly action: string
  readonly actorId: string
  /** For containers: image, name and labels, and exitCode, signal, … where they apply. */
  readonly attributes: Readonly<Record<string, string>>
}

export interface Events {
  emit(event: Omit<EngineEvent, 'sequence' | 'timeNs'>): void
  /** Past ones from `since` on (sequence or time), then live ones, until `until` or abort. Works across processes. */
  watch(
    query: {
      readonly sinceSequence?: number
      readonly sinceNs?: string
      readonly untilNs?: string
      readonly live: boolean
    },
    signal?: AbortSignal,
  ): AsyncIterable<EngineEvent>
  lastSequence(): number
}
