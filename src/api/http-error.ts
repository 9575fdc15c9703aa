import { isTcomposeError, messageOf, TcomposeError } from '../base/errors.ts'

/** Status of an answer for each kind of failure, as dockerd's error classes have them. */
export function httpStatus(error: unknown): number {
  if (!isTcomposeError(error)) return 500
  switch (error.code) {
    case 'INVALID':
      return 400
    case 'NOT_FOUND':
      return 404
    case 'CONFLICT':
      return 409
    case 'DENIED':
      return 403
    case 'UNSUPPORTED':
      return 501
    case 'UNAVAILABLE':
      return 503
    case 'FAILED':
      // A command that is not there, or is none, is the caller's mistake.
      return error.exitCode === 126 || error.exitCode === 127 ? 400 : 500
    case 'TIMEOUT':
    case 'CANCELED':
    case 'CORRUPT':
      return 500
  }
}

export function errorBody(error: unknown): { readonly message: string } {
  if (!isTcomposeError(error)) return { message: messageOf(error) }
  return { message: error.hint === undefined ? error.message : `${error.message} (${error.hint})` }
}

export function badRequest(message: string): TcomposeError {
  return new TcomposeError('INVALID', message)
}
