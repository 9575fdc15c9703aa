import type { Project } from '../compose/types.ts'
import type { UpOptions } from './up-options.ts'

/**
 * The services whose output an attached `up` shows: the named ones (all, without names), not their dependencies unless
 * asked for, and not those with `attach: false` unless they are named in `--attach`.
 */
export function attachedServices(
  project: Project,
  services: readonly string[],
  options: Pick<UpOptions, 'attach' | 'attachDependencies' | 'noAttach'>,
): ReadonlySet<string> {
  const all = Object.keys(project.services)
  const chosen = options.attach?.length
    ? withDependencies(project, options.attach, options.attachDependencies ?? false)
    : services.length === 0 || options.attachDependencies
      ? all
      : services
  const named = new Set(options.attach ?? [])
  const muted = new Set(options.noAttach ?? [])
  return new Set(
    chosen.filter((name) => !muted.has(name) && (named.has(name) || project.services[name]?.attach !== false)),
  )
}

/** The services and, with `deep`, all that they depend on. */
export function withDependencies(project: Project, names: readonly string[], deep: boolean): readonly string[] {
  if (!deep) return names
  const found = new Set<string>()
  const visit = (name: string): void => {
    if (found.has(name)) return
    found.add(name)
    for (const one of Object.keys(project.services[name]?.depends_on ?? {})) visit(one)
  }
  for (const name of names) visit(name)
  return [...found]
}
