import { descend, type PathTable, pathTable } from './path-table.ts'
import { type Draft, isList, isMap, type Tree, type TreeMap } from './tree.ts'

/** `keep`: means something when empty or zero. `whole`: a map or list whose own values all mean something.
 * `bytes`: digits, of which 0 says nothing. */
type Rule = 'keep' | 'whole' | 'bytes'

export const ELEMENT_RULES = pathTable<Rule>([
  ...[
    'mem_limit',
    'mem_reservation',
    'memswap_limit',
    'mem_swappiness',
    'shm_size',
    'build.shm_size',
    'deploy.resources.limits.memory',
    'deploy.resources.reservations.memory',
    'volumes.*.tmpfs.size',
  ].map((name) => [`services.*.${name}`, 'bytes'] as const),
  ...[
    'attach',
    'build',
    'command',
    'blkio_config',
    'credential_spec',
    'deploy',
    'deploy.replicas',
    'deploy.resources',
    'deploy.resources.limits',
    'deploy.resources.reservations',
    'deploy.restart_policy',
    'deploy.restart_policy.max_attempts',
    'deploy.update_config',
    'deploy.update_config.parallelism',
    'deploy.rollback_config',
    'deploy.rollback_config.parallelism',
    'depends_on.*',
    'depends_on.*.required',
    'develop',
    'entrypoint',
    'extends',
    'healthcheck',
    'healthcheck.retries',
    'init',
    'logging',
    'models.*',
    'networks.*',
    'provider',
    'scale',
    'stop_grace_period',
    'healthcheck.interval',
    'healthcheck.timeout',
    'healthcheck.start_period',
    'healthcheck.start_interval',
    'ulimits.*',
    'ulimits.*.soft',
    'ulimits.*.hard',
    'volumes.*.bind',
    'volumes.*.bind.create_host_path',
    'volumes.*.image',
    'volumes.*.tmpfs',
    'volumes.*.volume',
    'env_file.*.required',
  ].map((name) => [`services.*.${name}`, 'keep'] as const),
  ...[
    'annotations',
    'build.additional_contexts',
    'build.args',
    'build.labels',
    'build.ulimits',
    'deploy.labels',
    'environment',
    'labels',
    'logging.options',
    'provider.options',
    'storage_opt',
    'sysctls',
    'volumes.*.volume.labels',
    'networks.*.driver_opts',
    'post_start.*.environment',
    'pre_start.*.environment',
    'pre_stop.*.environment',
  ].map((name) => [`services.*.${name}`, 'whole'] as const),
  ['services.*', 'keep'],
  ['services', 'keep'],
  ...['networks', 'volumes', 'configs', 'secrets', 'models'].flatMap((kind) => [
    [`${kind}.*`, 'keep'] as const,
    [`${kind}.*.labels`, 'whole'] as const,
    [`${kind}.*.driver_opts`, 'whole'] as const,
  ]),
  ['networks.*.enable_ipv4', 'keep'],
  ['networks.*.enable_ipv6', 'keep'],
  ['networks.*.ipam.config.*.aux_addresses', 'whole'],
  ['networks.*.ipam.options', 'whole'],
  ['configs.*.content', 'keep'],
])

/**
 * Leaves out what says the same as nothing: `tty: false`, `ports: []`, `restart: ""`; and what Compose takes for granted:
 * `create_host_path: true`, `required: true` of an env file.
 */
export function dropZeros(tree: TreeMap): TreeMap {
  return visit(tree, ELEMENT_RULES) as TreeMap
}

function visit(value: Tree, table: PathTable<Rule> | undefined): Tree {
  if (isList(value)) return value.map((one, index) => visit(one, descend(table, index)))
  if (!isMap(value)) return value
  const out: Draft = {}
  for (const key of Object.keys(value)) {
    const before = value[key] as Tree
    if (key.startsWith('x-') && !table?.next.has('*')) {
      out[key] = before
      continue
    }
    const next = descend(table, key)
    const after = next?.value === 'whole' ? before : visit(before, next)
    if (isDefault(key, after, value) || (next?.value === 'bytes' && after === '0')) continue
    if (next?.value === 'keep' || !isZero(after)) out[key] = after
  }
  return out
}

function isDefault(key: string, value: Tree, owner: TreeMap): boolean {
  return value === true && (key === 'create_host_path' || (key === 'required' && owner.path !== undefined))
}

function isZero(value: Tree): boolean {
  if (value === null || value === false || value === 0 || value === '') return true
  if (isList(value)) return value.length === 0
  return isMap(value) && Object.keys(value).length === 0
}
