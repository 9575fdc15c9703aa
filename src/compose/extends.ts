import { dirname, isAbsolute, join, relative } from 'node:path'
import { TcomposeError } from '../base/errors.ts'
import { merge } from './merge.ts'
import { didYouMean } from './near.ts'
import { isRemoteContext, resolvePaths } from './paths.ts'
import { applyResets } from './reset.ts'
import { type Draft, isMap, mapOf, type Path, type Tree, type TreeMap } from './tree.ts'

/** What another file's services are read with. */
export interface ExtendScope {
  /** Absolute; paths of `extends.file` start here. */
  readonly directory: string
  readonly home: string | undefined
  readonly at: (path: Path) => string | undefined
  /** Reads a whole file in canonical form, not validated; its own `extends` and `include` untouched. */
  readonly read: (file: string) => { readonly tree: TreeMap; readonly resets: readonly Path[] }
}

interface Step {
  readonly service: string
  readonly file: string
}

/**
 * Puts every service that extends another on top of it, through chains and files.
 * @throws TcomposeError INVALID for a missing service or file, or a circle; UNSUPPORTED for remote files
 */
export function applyExtends(tree: TreeMap, file: string, resets: readonly Path[], scope: ExtendScope): TreeMap {
  if (!isMap(tree.services)) return tree
  const services: Draft = { ...tree.services }
  let changed = false
  for (const name of Object.keys(services)) {
    const before = services[name] as Tree
    if (!isMap(before) || before.extends === undefined) continue
    services[name] = extend(name, { services, file, resets }, scope, []) as Tree
    changed = true
  }
  return changed ? { ...tree, services } : tree
}

interface Source {
  readonly services: TreeMap
  readonly file: string
  readonly resets: readonly Path[]
}

function extend(name: string, source: Source, scope: ExtendScope, trail: readonly Step[]): Tree {
  const service = source.services[name] ?? null
  if (!isMap(service) || service.extends === undefined || service.extends === null) return service
  const path = ['services', name, 'extends']
  const fail = (message: string, hint?: string): TcomposeError =>
    new TcomposeError('INVALID', message, { at: scope.at(path), hint })
  const target = typeof service.extends === 'string' ? service.extends : mapOf(service.extends).service
  const from = typeof service.extends === 'string' ? undefined : mapOf(service.extends).file
  if (typeof target !== 'string') throw fail(`extends.${name}.service is required`, 'name the service to start from')
  const step = { service: name, file: source.file }
  const seen = trail.findIndex((one) => one.service === step.service && one.file === step.file)
  if (seen >= 0) {
    const [first, ...rest] = [...trail.slice(seen), step]
    throw fail(
      `Circular reference:\n  ${first?.service} in ${first?.file}${rest.map((one) => `\n  extends ${one.service} in ${one.file}`).join('')}`,
      'one of these services has to stand on its own',
    )
  }
  let base: Source = source
  if (typeof from === 'string') {
    if (isRemoteContext(from)) {
      throw new TcomposeError(
        'UNSUPPORTED',
        `extending a service from ${from} is not supported: only files of this machine are read`,
        { at: scope.at(path) },
      )
    }
    const absolute = isAbsolute(from) ? from : join(scope.directory, from)
    const { tree, resets } = scope.read(absolute)
    const directory = relative(scope.directory, dirname(absolute)) || '.'
    base = {
      services: mapOf(resolvePaths(tree, { directory, home: scope.home, at: scope.at }).services),
      file: absolute,
      resets,
    }
  }
  if (!Object.hasOwn(base.services, target)) {
    const where =
      typeof from === 'string'
        ? `service ${JSON.stringify(target)} not found in ${from}`
        : `service ${JSON.stringify(target)} not found`
    throw fail(
      `cannot extend service ${JSON.stringify(name)} in ${source.file}: ${where}`,
      didYouMean(target, Object.keys(base.services)),
    )
  }
  const below = extend(target, base, scope, [...trail, step])
  if (!isMap(below)) return service
  const bare = mapOf(mapOf(applyResets({ services: { [name]: below } }, source.resets).services)[name] ?? null)
  const { extends: _done, ...merged } = merge(bare, service, ['services', name])
  return merged
}
