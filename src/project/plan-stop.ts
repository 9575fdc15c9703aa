import type { Service } from '../compose/types.ts'
import type { Container } from '../engine/containers/types.ts'
import { toHookExec } from './hook-spec.ts'
import { isOneOff, numberOf, serviceOf } from './names.ts'
import type { PlanBuilder, Target } from './plan.ts'

/** `service:web:1`, or the name for what has no number. */
export function resourceOf(container: Pick<Container, 'labels' | 'name'> & Partial<Container>): string {
  const one = container as Container
  return isOneOff(one) || numberOf(one) === 0 ? `container:${one.name}` : `service:${serviceOf(one)}:${numberOf(one)}`
}

export function targetOf(container: Pick<Container, 'id' | 'name'>): Target {
  return { id: container.id, name: container.name }
}

export function isAlive(container: Container): boolean {
  const { status } = container.state
  return status === 'running' || status === 'paused' || status === 'restarting'
}

export interface StopOptions {
  readonly timeoutSeconds?: number | undefined
  readonly after?: readonly (number | undefined)[]
  /** For its `pre_stop` hooks. */
  readonly service?: Service | undefined
  readonly show?: boolean
}

/** Hooks, then the stop; nothing for a container that does not run. @returns the operation after which it is stopped */
export function planStop(
  builder: PlanBuilder,
  container: Container,
  cause: string,
  options: StopOptions = {},
): number | undefined {
  if (!isAlive(container)) return undefined
  const target = targetOf(container)
  const resource = resourceOf(container)
  let after = options.after ?? []
  if (container.state.status === 'running') {
    for (const hook of options.service?.pre_stop ?? []) {
      const id = builder.add({
        resource,
        action: {
          kind: 'runHook',
          phase: 'pre_stop',
          container: target,
          service: serviceOf(container),
          exec: toHookExec(hook),
        },
        cause: 'pre_stop',
        dependsOn: after,
        display: { id: `Container ${container.name}` },
        afterFailure: 'run',
      })
      after = [id]
    }
  }
  return builder.add({
    resource,
    action: { kind: 'stopContainer', container: target, timeoutSeconds: options.timeoutSeconds },
    cause,
    dependsOn: after,
    display:
      options.show === false
        ? { id: `Container ${container.name}` }
        : { id: `Container ${container.name}`, working: 'Stopping', done: 'Stopped' },
  })
}

export interface RemoveOptions {
  readonly after?: readonly (number | undefined)[]
  readonly volumes?: boolean
  readonly force?: boolean
  readonly show?: boolean
}

export function planRemove(
  builder: PlanBuilder,
  container: Container,
  cause: string,
  options: RemoveOptions = {},
): number {
  return builder.add({
    resource: resourceOf(container),
    action: {
      kind: 'removeContainer',
      container: targetOf(container),
      volumes: options.volumes ?? false,
      force: options.force ?? false,
    },
    cause,
    dependsOn: options.after ?? [],
    display:
      options.show === false
        ? { id: `Container ${container.name}` }
        : { id: `Container ${container.name}`, working: 'Removing', done: 'Removed' },
  })
}
