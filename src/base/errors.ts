/** What went wrong, for callers that act on it. Exit and HTTP codes are derived from it in `cli` and `api` only. */
export type ErrorCode =
  | 'INVALID' // the input is wrong: a file, a flag, a request
  | 'NOT_FOUND'
  | 'CONFLICT' // exists already, is in use, or is in a state that forbids it
  | 'UNSUPPORTED' // understood, and not done here; the message names the thing
  | 'UNAVAILABLE' // the machine or a peer cannot do it now
  | 'DENIED'
  | 'TIMEOUT'
  | 'CANCELED'
  | 'CORRUPT' // stored or received data does not match its digest or format
  | 'FAILED' // a step that ran ended badly: a build step, a hook, a command

export interface ErrorDetails {
  /** `file`, `file:line` or `file:line:column`. */
  readonly at?: string | undefined
  /** What the user can do about it. */
  readonly hint?: string | undefined
  readonly cause?: unknown
  /** Exit code of the process that failed, when that is what the caller must return. */
  readonly exitCode?: number | undefined
  /** Further independent errors found in the same pass, each reported in full. */
  readonly others?: readonly TcomposeError[] | undefined
}

/** An error a user can act on. Any other `Error` that reaches the top is a bug of ours. */
export class TcomposeError extends Error {
  override readonly name = 'TcomposeError'
  readonly code: ErrorCode
  readonly at: string | undefined
  readonly hint: string | undefined
  readonly exitCode: number | undefined
  readonly others: readonly TcomposeError[]

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.at = details.at
    this.hint = details.hint
    this.exitCode = details.exitCode
    this.others = details.others ?? []
  }
}

export function isTcomposeError(error: unknown, code?: ErrorCode): error is TcomposeError {
  return error instanceof TcomposeError && (code === undefined || error.code === code)
}

/** The `code` of a Node system error (`ENOENT`, …), or undefined. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Throws CANCELED if `signal` has been aborted; call it between steps that cannot be interrupted themselves. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new TcomposeError('CANCELED', 'interrupted', { cause: signal.reason })
}
