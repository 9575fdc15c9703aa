import type { Project } from '../compose/types.ts'
import type { Container } from '../engine/containers/types.ts'
import { isOneOff, serviceOf } from './names.ts'
import type { Observed } from './observed.ts'
import type { PlanState } from './plan-state.ts'
import { planRemove, planStop } from './plan-stop.ts'

/**
 * Containers of the project that its file does not know: of services that are gone (not of those that a profile or a
 * selection leaves out), and one-offs that have ended.
 */
export function orphansOf(project: Project, observed: Observed): readonly Container[] {
  const known = new Set([...Object.keys(project.services), ...Object.keys(project.disabled_services ?? {})])
  return observed.containers.filter((one) => {
    if (isOneOff(one)) return one.state.status === 'exited' || one.state.status === 'dead'
    return !known.has(serviceOf(one))
  })
}

export function planOrphans(state: PlanState): void {
  const mode = state.options.orphans ?? 'warn'
  if (mode === 'ignore') return
  const orphans = orphansOf(state.project, state.observed)
  if (orphans.length === 0) return
  if (mode === 'warn') {
    state.builder.warn(
      `Found orphan containers ([${orphans.map((one) => one.name).join(' ')}]) for this project. If you removed or renamed this service in your compose file, you can run this command with the --remove-orphans flag to clean it up.`,
    )
    return
  }
  for (const orphan of orphans) {
    const stop = planStop(state.builder, orphan, 'orphan', { timeoutSeconds: state.options.timeoutSeconds })
    planRemove(state.builder, orphan, 'orphan', { after: [stop], force: true })
  }
}
