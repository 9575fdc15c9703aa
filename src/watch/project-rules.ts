import { readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { errnoOf, TcomposeError } from '../base/errors.ts'
import type { WatchRule as FileRule, Project, Service } from '../compose/types.ts'
import { createIgnoreMatcher, parseIgnoreFile } from '../dockerfile/ignore.ts'
import { isEphemeral, relativeInside, type WatchExec, type WatchRule } from './rules.ts'

/**
 * The watch rules of services (all, if none are named), ready to be matched: absolute paths, and one predicate out of
 * `ignore`, `include`, the build's `.dockerignore`, and what editors leave lying about.
 * Paths that a bind mount brings into the container already are left out, since they need no copying.
 * @throws TcomposeError INVALID for a rule without the target that its action needs
 */
export async function rulesOf(project: Project, services: readonly string[]): Promise<readonly WatchRule[]> {
  const selected = Object.entries(project.services).filter(([name]) => services.length === 0 || services.includes(name))
  const rules: WatchRule[] = []
  for (const [name, service] of selected) {
    const context = service.build?.context
    const ignored = context?.startsWith('/') ? await readIgnoreFile(context, service.build?.dockerfile) : []
    for (const rule of service.develop?.watch ?? []) {
      if (rule.action.startsWith('sync') && isBound(service, rule)) continue
      rules.push(toRule(name, rule, context, ignored))
    }
  }
  return rules
}

/** Rules whose files a bind mount shows in the container anyway, for a warning. */
export function boundPaths(
  project: Project,
  services: readonly string[],
): readonly { readonly service: string; readonly path: string }[] {
  return Object.entries(project.services)
    .filter(([name]) => services.length === 0 || services.includes(name))
    .flatMap(([name, service]) =>
      (service.develop?.watch ?? [])
        .filter((rule) => rule.action.startsWith('sync') && isBound(service, rule))
        .map((rule) => ({ service: name, path: rule.path })),
    )
}

function isBound(service: Service, rule: FileRule): boolean {
  return (service.volumes ?? []).some(
    (mount) =>
      mount.type === 'bind' && mount.source !== undefined && relativeInside(mount.source, rule.path) !== undefined,
  )
}

function toRule(name: string, rule: FileRule, context: string | undefined, dockerignore: readonly string[]): WatchRule {
  const needsTarget = rule.action.startsWith('sync')
  if (needsTarget && rule.target === undefined) {
    throw new TcomposeError('INVALID', `services.${name}.develop.watch: target is required for action ${rule.action}`)
  }
  if (needsTarget && !posix.isAbsolute(rule.target as string)) {
    throw new TcomposeError('INVALID', `services.${name}.develop.watch: target ${rule.target} must be an absolute path`)
  }
  const own = createIgnoreMatcher(rule.ignore ?? [])
  const included =
    rule.include === undefined || rule.include.length === 0 ? undefined : createIgnoreMatcher(rule.include)
  const fromContext = createIgnoreMatcher(dockerignore)
  // .dockerignore speaks of paths below the build context, `ignore` and `include` of paths below the rule's.
  const above = context === undefined ? undefined : relativeInside(context, rule.path)
  const inContext = (path: string): string => (above === '' ? path : `${above}/${path}`)
  return {
    service: name,
    action: rule.action,
    path: rule.path,
    target: rule.target,
    initialSync: rule.initial_sync ?? false,
    exec: rule.action === 'sync+exec' ? toExec(rule) : undefined,
    ignores: (path) =>
      isEphemeral(path) ||
      own.ignores(path) ||
      (above !== undefined && fromContext.ignores(inContext(path))) ||
      // The same patterns, read the other way: what they match is what is wanted.
      (included !== undefined && !included.ignores(path)),
    prunes: (path) =>
      isEphemeral(path) ||
      (own.ignores(path) && !own.mayInclude(path)) ||
      (above !== undefined && fromContext.ignores(inContext(path)) && !fromContext.mayInclude(inContext(path))),
  }
}

function toExec(rule: FileRule): WatchExec {
  const { exec } = rule
  return {
    command: exec?.command ?? [],
    user: exec?.user,
    privileged: exec?.privileged ?? false,
    workingDir: exec?.working_dir,
    environment: Object.entries(exec?.environment ?? {}).flatMap(([key, value]) =>
      value === null ? [] : [`${key}=${value}`],
    ),
  }
}

/** `<Dockerfile>.dockerignore` beside the Dockerfile, else `.dockerignore` of the context. */
async function readIgnoreFile(context: string, dockerfile: string | undefined): Promise<readonly string[]> {
  const own =
    dockerfile === undefined
      ? []
      : [`${posix.isAbsolute(dockerfile) ? dockerfile : join(context, dockerfile)}.dockerignore`]
  for (const path of [...own, join(context, '.dockerignore')]) {
    try {
      return parseIgnoreFile(await readFile(path, 'utf8'))
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
    }
  }
  return []
}
