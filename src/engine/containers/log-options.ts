import { TcomposeError } from '../../base/errors.ts'
import { parseSizeBytes } from '../../base/size.ts'
import type { LogRequest } from '../../runtime/shim-types.ts'
import type { LogSpec } from './spec.ts'
import type { StoredContainer } from './store.ts'

/** How the shim is to write a container's log. */
export type LogSettings =
  | { readonly driver: 'none' }
  | {
      readonly driver: 'json-file'
      readonly maxSizeBytes: number
      readonly maxFiles: number
      readonly compress: boolean
      /** Names to copy into each line's `attrs`. */
      readonly labels: readonly string[]
      readonly env: readonly string[]
    }

const KNOWN: Readonly<Record<'json-file' | 'local', ReadonlySet<string>>> = {
  'json-file': new Set(['max-size', 'max-file', 'compress', 'labels', 'env', 'mode', 'max-buffer-size']),
  local: new Set(['max-size', 'max-file', 'compress', 'mode', 'max-buffer-size']),
}

/**
 * Reads a logging driver's options. Without any, 10 MB × 3: a log must not fill the disk. `local` differs from
 * json-file in its defaults alone (20 MB × 5, compressed); its file is written in the same format.
 * @throws TcomposeError INVALID naming the option, UNSUPPORTED for a driver or option that is not done
 */
export function readLogSpec(log: LogSpec | undefined): LogSettings {
  const driver = log?.driver ?? 'json-file'
  if (driver === 'none') return { driver }
  if (driver !== 'json-file' && driver !== 'local') {
    throw new TcomposeError('UNSUPPORTED', `logging driver ${driver} is not supported`, {
      hint: 'use json-file, local or none',
    })
  }
  const options = log?.options ?? {}
  for (const name of Object.keys(options)) {
    if (KNOWN[driver].has(name)) continue
    const code = ['labels-regex', 'env-regex', 'tag'].includes(name) ? 'UNSUPPORTED' : 'INVALID'
    const why = code === 'UNSUPPORTED' ? 'is not supported' : `unknown log opt for ${driver} log driver`
    throw new TcomposeError(
      code,
      code === 'UNSUPPORTED' ? `log opt '${name}' ${why}` : `unknown log opt '${name}' for ${driver} log driver`,
    )
  }
  const mode = options.mode ?? 'blocking'
  if (mode !== 'blocking' && mode !== 'non-blocking') {
    throw new TcomposeError('INVALID', `logger: logging mode not supported: ${mode}`)
  }
  const local = driver === 'local'
  const size = options['max-size'] ?? (local ? '20m' : '10m')
  const maxSizeBytes = size === '-1' ? 0 : parseSizeBytes(size)
  if (maxSizeBytes === 0 && size !== '-1') throw new TcomposeError('INVALID', `max-size must be positive: ${size}`)
  // A size without a number of files means one file in Docker: the log starts anew when it is full.
  const files = options['max-file'] ?? (options['max-size'] !== undefined && !local ? '1' : local ? '5' : '3')
  if (!/^[1-9]\d*$/.test(files)) throw new TcomposeError('INVALID', `max-file cannot be less than 1: ${files}`)
  return {
    driver: 'json-file',
    maxSizeBytes,
    maxFiles: Number(files),
    compress: options.compress === undefined ? local : options.compress === 'true',
    labels: list(options.labels),
    env: list(options.env),
  }
}

/** What the shim is told of a container's log. */
export function logRequest(stored: Pick<StoredContainer, 'record'>): LogRequest {
  const { record } = stored
  const settings = readLogSpec(record.spec.log)
  if (settings.driver === 'none') return settings
  const { maxSizeBytes, maxFiles, compress } = settings
  const attrs: Record<string, string> = {}
  for (const name of settings.labels) {
    const value = record.labels[name]
    if (value !== undefined) attrs[name] = value
  }
  for (const name of settings.env) {
    const entry = record.config.env.find((each) => each.startsWith(`${name}=`))
    if (entry !== undefined) attrs[name] = entry.slice(name.length + 1)
  }
  return {
    driver: 'json-file',
    path: record.logPath,
    maxSizeBytes,
    maxFiles,
    compress,
    ...(Object.keys(attrs).length > 0 ? { attrs } : {}),
  }
}

function list(text: string | undefined): readonly string[] {
  return (text ?? '').split(',').filter((name) => name !== '')
}
