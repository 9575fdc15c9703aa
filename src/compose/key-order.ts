import { descend, type PathTable, pathTable } from './path-table.ts'
import { type Draft, isList, isMap, type Tree, type TreeMap } from './tree.ts'

const FILE_REFERENCE = 'source target uid gid mode'
const ROLLOUT = 'parallelism delay failure_action monitor max_failure_ratio order'
const HOOK = 'command image user privileged per_replica working_dir environment'
const DEVICES = 'capabilities driver count device_ids options'

/** Attributes that Compose prints in an order of its own, which people's scripts grep; all others go by name. */
const ORDERS = pathTable<readonly string[]>(
  (
    [
      ['networks.*', 'name driver driver_opts ipam external internal attachable labels enable_ipv4 enable_ipv6'],
      ['networks.*.ipam', 'driver config options'],
      ['networks.*.ipam.config.*', 'subnet gateway ip_range aux_addresses'],
      ['volumes.*', 'name driver driver_opts external labels'],
      ['configs.*', 'name file environment content external labels driver driver_opts template_driver'],
      ['secrets.*', 'name file environment content external labels driver driver_opts template_driver'],
      ['services.*', 'profiles annotations attach'],
      [
        'services.*.build',
        'context dockerfile dockerfile_inline entitlements args provenance sbom ssh labels cache_from cache_to no_cache no_cache_filter additional_contexts pull extra_hosts isolation network target secrets shm_size tags ulimits platforms privileged',
      ],
      ['services.*.build.secrets.*', FILE_REFERENCE],
      ['services.*.build.ulimits.*', 'soft hard'],
      ['services.*.blkio_config', 'weight weight_device'],
      ['services.*.configs.*', FILE_REFERENCE],
      ['services.*.secrets.*', FILE_REFERENCE],
      ['services.*.depends_on.*', 'condition restart required'],
      [
        'services.*.deploy',
        'mode replicas labels update_config rollback_config resources restart_policy placement endpoint_mode',
      ],
      ['services.*.deploy.placement', 'constraints preferences max_replicas_per_node'],
      ['services.*.deploy.resources.*', 'cpus memory pids devices generic_resources'],
      ['services.*.deploy.resources.reservations.devices.*', DEVICES],
      ['services.*.deploy.restart_policy', 'condition delay max_attempts window'],
      ['services.*.deploy.update_config', ROLLOUT],
      ['services.*.deploy.rollback_config', ROLLOUT],
      ['services.*.develop.watch.*', 'path action target exec ignore include initial_sync'],
      ['services.*.devices.*', 'source target permissions'],
      ['services.*.gpus.*', DEVICES],
      ['services.*.healthcheck', 'test timeout interval retries start_period start_interval disable'],
      ['services.*.ports.*', 'name mode host_ip target published protocol app_protocol'],
      ['services.*.post_start.*', HOOK],
      ['services.*.pre_start.*', HOOK],
      ['services.*.pre_stop.*', HOOK],
      ['services.*.provider', 'type options'],
      ['services.*.ulimits.*', 'soft hard'],
      ['services.*.volumes.*', 'type source target read_only consistency bind volume tmpfs image'],
    ] as const
  ).map(([pattern, keys]) => [pattern, keys.split(' ')] as const),
)

/** The tree with the keys of every map in the order they are printed in. */
export function orderKeys(tree: TreeMap): TreeMap {
  return visit(tree, ORDERS) as TreeMap
}

/** The same by name alone. */
export function sortKeys(tree: TreeMap): TreeMap {
  return visit(tree, undefined) as TreeMap
}

function visit(value: Tree, table: PathTable<readonly string[]> | undefined): Tree {
  if (isList(value)) return value.map((one, index) => visit(one, descend(table, index)))
  if (!isMap(value)) return value
  const first = table?.value ?? []
  const rank = (key: string): number => {
    const place = first.indexOf(key)
    return place < 0 ? first.length : place
  }
  const out: Draft = {}
  const keys = Object.keys(value).sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
  for (const key of keys) if (value[key] !== undefined) out[key] = visit(value[key] as Tree, descend(table, key))
  return out
}
