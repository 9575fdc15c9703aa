import { TcomposeError } from '../base/errors.ts'
import { decodeStrings } from './shim-frames.ts'

const NOT_FOUND_EXIT = 127
const NOT_EXECUTABLE_EXIT = 126
const NOT_STARTED_EXIT = 128

/** The error of a FAILED frame: kind, exit code, message. */
export function shimError(payload: Buffer): TcomposeError {
  const [kind = '', code = '0', text = ''] = decodeStrings(payload)
  switch (kind) {
    case 'port':
      return new TcomposeError('CONFLICT', text)
    case 'state':
      return new TcomposeError('CONFLICT', text)
    case 'runc':
      return runcError(text, 'create')
    case 'exec':
      return Number(code) === 0
        ? runcError(text, 'exec')
        : new TcomposeError('FAILED', `OCI runtime exec failed: ${text}`, { exitCode: Number(code) })
    default:
      return new TcomposeError('FAILED', text)
  }
}

/** What runc has logged, as dockerd words it: with the exit code that dockerd derives from it. */
export function runcError(log: string, step: 'create' | 'exec'): TcomposeError {
  const message = lastError(log)
  return new TcomposeError(
    'FAILED',
    step === 'create'
      ? `failed to create task for container: failed to create shim task: OCI runtime create failed: ${message}: unknown`
      : `OCI runtime exec failed: ${message}: unknown`,
    { exitCode: exitCodeOf(message, step) },
  )
}

/** The last error of runc's JSON log; the whole text when it is none. */
function lastError(log: string): string {
  const lines = log.trim().split('\n')
  for (const line of lines.reverse()) {
    try {
      const entry = JSON.parse(line) as { level?: string; msg?: string }
      if (entry.level === 'error' && entry.msg) return entry.msg
    } catch {
      // Not an entry.
    }
  }
  return log.trim()
}

function exitCodeOf(message: string, step: 'create' | 'exec'): number {
  if (/executable file not found|no such file or directory|is a directory: are you trying/i.test(message)) {
    return /chdir to cwd/.test(message) ? NOT_EXECUTABLE_EXIT : NOT_FOUND_EXIT
  }
  if (/permission denied|exec format error|not a directory/i.test(message)) return NOT_EXECUTABLE_EXIT
  return step === 'exec' ? NOT_EXECUTABLE_EXIT : NOT_STARTED_EXIT
}
