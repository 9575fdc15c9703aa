import type { Session } from './session.ts'
import { converge } from './up.ts'

/**
 * `restart --apply`: services whose configuration or image changed are made anew, the others are restarted. One plan
 * cannot hold both, since what is restarted depends on what was made anew.
 */
export async function restartApplying(
  session: Session,
  services: readonly string[],
  options: { readonly noDeps: boolean; readonly timeoutSeconds: number | undefined },
): Promise<void> {
  const [{ observe }, { planRestart }] = await Promise.all([
    import('../project/observed.ts'),
    import('../project/plan-lifecycle.ts'),
  ])
  const project = await session.project({ services, noDeps: options.noDeps })
  const { plan } = await converge(
    session,
    project,
    services,
    options.timeoutSeconds === undefined ? {} : { timeout: options.timeoutSeconds },
    { start: true, wait: false },
  )
  const renewed = new Set(
    plan.operations.flatMap((one) => (one.action.kind === 'createContainer' ? [one.resource.split(':')[1] ?? ''] : [])),
  )
  await session.execute(plan)
  const rest = (services.length > 0 ? services : Object.keys(project.services)).filter((name) => !renewed.has(name))
  if (rest.length === 0) return
  const observed = await observe(await session.engine(), project.name)
  await session.execute(
    planRestart(project, observed, { services: rest, noDeps: options.noDeps, timeoutSeconds: options.timeoutSeconds }),
  )
}
