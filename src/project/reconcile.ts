import type { Project } from '../compose/types.ts'
import { startOrder } from './graph.ts'
import type { Observed } from './observed.ts'
import { createPlanBuilder, type Plan } from './plan.ts'
import { planNetworks, reattachRemaining } from './plan-networks.ts'
import { planOrphans } from './plan-orphans.ts'
import { planService } from './plan-service.ts'
import { planDependencyWaits, planStart, planWaits } from './plan-start.ts'
import { createPlanState, type ReconcileOptions } from './plan-state.ts'
import { planVolumes } from './plan-volumes.ts'

/**
 * The plan that brings a project from what is observed to what its file says. Pure: the same input gives the same plan
 * (but for `newId` and `readFile`).
 * @throws TcomposeError NOT_FOUND for a missing external network or volume
 */
export function reconcile(project: Project, observed: Observed, options: ReconcileOptions): Plan {
  const state = createPlanState(project, observed, options, createPlanBuilder(project.name))
  planOrphans(state)
  planNetworks(state)
  planVolumes(state)
  const order = startOrder(project).filter((name) => !project.services[name]?.provider && name !== options.oneOff)
  for (const name of order) planService(state, name)
  if (options.start !== false) {
    for (const name of order) planStart(state, name)
  }
  if (options.oneOff !== undefined) planDependencyWaits(state, options.oneOff)
  reattachRemaining(state)
  if (options.wait) planWaits(state, order)
  return state.builder.build()
}
