import { isIP } from 'node:net'
import { TcomposeError } from '../base/errors.ts'
import { formatPath, isMap, listOf, mapOf, type Path, type Tree, type TreeMap } from './tree.ts'

/**
 * What a schema cannot say about one element alone: sources that exclude each other, addresses, counts.
 * @returns every failure
 */
export function validate(tree: TreeMap, at: (path: Path) => string | undefined): readonly TcomposeError[] {
  const errors: TcomposeError[] = []
  const fail = (path: Path, message: string, hint?: string): void => {
    errors.push(new TcomposeError('INVALID', message, { at: at(path), hint }))
  }
  each(tree.volumes, ['volumes'], (volume, path) => checkExternal(volume, path, fail))
  each(tree.configs, ['configs'], (config, path) => checkSource(config, path, ['file', 'environment', 'content'], fail))
  each(tree.secrets, ['secrets'], (secret, path) => checkSource(secret, path, ['file', 'environment'], fail))
  each(tree.services, ['services'], (service, path) => checkService(service, path, fail))
  return errors
}

type Fail = (path: Path, message: string, hint?: string) => void

function each(map: Tree | undefined, path: Path, check: (value: TreeMap, path: Path) => void): void {
  for (const [key, value] of Object.entries(mapOf(map))) if (isMap(value)) check(value, [...path, key])
}

/** What is external is described elsewhere: only its name may stand here. */
function checkExternal(resource: TreeMap, path: Path, fail: Fail): void {
  if (resource.external !== true) return
  for (const key of Object.keys(resource)) {
    if (key === 'external' || key === 'name' || key.startsWith('x-')) continue
    fail(
      [...path, key],
      `${formatPath(path)}: conflicting parameters "external" and ${JSON.stringify(key)} specified`,
      `remove ${key}, or external`,
    )
  }
}

function checkSource(object: TreeMap, path: Path, keys: readonly string[], fail: Fail): void {
  const given = keys.filter((key) => object[key] !== undefined)
  if (given.length > 1)
    fail(
      path,
      `${formatPath(path)}: ${keys.join('|')} attributes are mutually exclusive`,
      `keep one of ${given.join(', ')}`,
    )
  if (given.length === 0 && object.driver === undefined && object.external === undefined) {
    fail(path, `${formatPath(path)}: one of ${keys.join('|')} must be set`)
  }
}

function checkService(service: TreeMap, path: Path, fail: Fail): void {
  listOf(service.ports).forEach((port, index) => {
    const host = mapOf(port).host_ip
    if (typeof host === 'string' && host !== '' && isIP(host.replace(/^\[(.*)\]$/, '$1')) === 0) {
      const where = [...path, 'ports', index, 'host_ip']
      fail(where, `${formatPath(where)}: invalid ip address: ${host}`)
    }
  })
  const reserved = mapOf(mapOf(mapOf(service.deploy).resources).reservations).devices
  const requests: readonly (readonly [Tree, Path])[] = [
    ...listOf(service.gpus).map((one, index) => [one, [...path, 'gpus', index]] as const),
    ...listOf(reserved).map(
      (one, index) => [one, [...path, 'deploy', 'resources', 'reservations', 'devices', index]] as const,
    ),
  ]
  for (const [request, where] of requests) {
    const { count, device_ids: ids } = mapOf(request)
    if (count !== undefined && ids !== undefined) {
      fail(where, `${formatPath(where)}: "count" and "device_ids" attributes are exclusive`, 'keep one of the two')
    }
    if (typeof count === 'string' && count !== 'all' && !/^-?\d+$/.test(count)) {
      fail(
        [...where, 'count'],
        `${formatPath([...where, 'count'])}: invalid value ${JSON.stringify(count)}, the only value allowed is 'all' or a number`,
      )
    }
  }
  listOf(mapOf(service.develop).watch).forEach((rule, index) => {
    const where = [...path, 'develop', 'watch', index, 'path']
    if (mapOf(rule).path === '') fail(where, `${formatPath(where)}: value can't be blank`)
  })
}
