import { TcomposeError } from '../base/errors.ts'
import { pathTable } from './path-table.ts'
import { formatPath, type Path, type Tree } from './tree.ts'
import type { Warning } from './types.ts'

export type CastKind = 'int' | 'float' | 'bool'

const KINDS: Readonly<Record<CastKind, readonly string[]>> = {
  int: [
    ...[
      'cpu_count',
      'cpu_period',
      'cpu_quota',
      'cpu_rt_period',
      'cpu_rt_runtime',
      'cpu_shares',
      'oom_score_adj',
      'pids_limit',
      'scale',
    ].map((name) => `services.*.${name}`),
    'services.*.blkio_config.weight',
    'services.*.blkio_config.weight_device.*.weight',
    'services.*.deploy.replicas',
    'services.*.deploy.update_config.parallelism',
    'services.*.deploy.rollback_config.parallelism',
    'services.*.deploy.restart_policy.max_attempts',
    'services.*.deploy.placement.max_replicas_per_node',
    'services.*.deploy.resources.limits.pids',
    'services.*.healthcheck.retries',
    'services.*.networks.*.priority',
    'services.*.networks.*.gw_priority',
    'services.*.ports.*.target',
    'services.*.ulimits.*',
    'services.*.ulimits.*.hard',
    'services.*.ulimits.*.soft',
    'services.*.build.ulimits.*',
    'services.*.build.ulimits.*.hard',
    'services.*.build.ulimits.*.soft',
    'services.*.volumes.*.tmpfs.mode',
    'models.*.context_size',
  ],
  float: [
    'services.*.cpu_percent',
    'services.*.cpus',
    'services.*.deploy.resources.limits.cpus',
    'services.*.deploy.resources.reservations.cpus',
    'services.*.deploy.resources.reservations.generic_resources.*.discrete_resource_spec.value',
    'services.*.deploy.update_config.max_failure_ratio',
    'services.*.deploy.rollback_config.max_failure_ratio',
  ],
  bool: [
    ...['attach', 'init', 'oom_kill_disable', 'privileged', 'read_only', 'stdin_open', 'tty', 'use_api_socket'].map(
      (name) => `services.*.${name}`,
    ),
    ...['no_cache', 'privileged', 'pull'].map((name) => `services.*.build.${name}`),
    'services.*.depends_on.*.restart',
    'services.*.depends_on.*.required',
    'services.*.develop.watch.*.initial_sync',
    'services.*.develop.watch.*.exec.privileged',
    'services.*.env_file.*.required',
    'services.*.healthcheck.disable',
    'services.*.pre_start.*.privileged',
    'services.*.pre_start.*.per_replica',
    'services.*.post_start.*.privileged',
    'services.*.pre_stop.*.privileged',
    'services.*.volumes.*.read_only',
    'services.*.volumes.*.bind.create_host_path',
    'services.*.volumes.*.volume.nocopy',
    ...['external', 'internal', 'attachable', 'enable_ipv4', 'enable_ipv6'].map((name) => `networks.*.${name}`),
    'volumes.*.external',
    'secrets.*.external',
    'configs.*.external',
  ],
}

/** Which attributes are numbers or booleans in the model, though the file may give text. */
export const CASTS = pathTable(
  (Object.keys(KINDS) as CastKind[]).flatMap((kind) => KINDS[kind].map((pattern) => [pattern, kind] as const)),
)

export interface CastOptions {
  readonly at: (path: Path) => string | undefined
  readonly warn: (warning: Warning) => void
}

/** @throws TcomposeError INVALID */
export function castTo(kind: CastKind, text: string, path: Path, options: CastOptions): Tree {
  switch (kind) {
    case 'int':
      if (/^[-+]?(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|\d+)$/.test(text)) return toInteger(text)
      throw new TcomposeError('INVALID', `${JSON.stringify(text)} is not a whole number`)
    case 'float':
      if (text.trim() !== '' && Number.isFinite(Number(text))) return Number(text)
      throw new TcomposeError('INVALID', `${JSON.stringify(text)} is not a number`)
    case 'bool':
      return toBoolean(text, path, options)
  }
}

function toInteger(text: string): number {
  const digits = text.replace(/^[-+]/, '').toLowerCase()
  const value = /^0[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number(digits)
  return text.startsWith('-') ? -value : value
}

function toBoolean(text: string, path: Path, options: CastOptions): boolean {
  switch (text.toLowerCase()) {
    case 'true':
      return true
    case 'false':
      return false
    case 'y':
    case 'yes':
    case 'on':
    case '1':
    case 't':
      warn(text, 'true', path, options)
      return true
    case 'n':
    case 'no':
    case 'off':
    case '0':
    case 'f':
      warn(text, 'false', path, options)
      return false
    default:
      throw new TcomposeError('INVALID', `invalid boolean: ${text}`, { hint: 'true or false is expected' })
  }
}

function warn(text: string, meant: string, path: Path, options: CastOptions): void {
  if (/^[01tf]$/i.test(text)) return
  options.warn({
    message: `${formatPath(path)}: ${JSON.stringify(text)} for boolean is not supported by YAML 1.2, please use \`${meant}\``,
    at: options.at(path),
  })
}
