import { TcomposeError } from '../base/errors.ts'
import { serviceHash } from '../compose/hash.ts'
import type { Service } from '../compose/types.ts'
import type { ContainerSpec } from '../engine/containers/spec.ts'
import { containerLabels } from './container-labels.ts'
import { toContainerSpec, toEnvironment } from './container-spec.ts'
import { dependenciesOf } from './graph.ts'
import { toHookExec } from './hook-spec.ts'
import { LABEL } from './labels.ts'
import { imageName } from './names.ts'
import type { WaitCondition } from './plan.ts'
import { specContext } from './plan-service.ts'
import { expectedScale, type PlanState, type Replica } from './plan-state.ts'
import { resourceOf } from './plan-stop.ts'

/** Starts what does not run of one service: after its dependencies, its init containers before, its hooks after. */
export function planStart(state: PlanState, name: string): void {
  const service = state.project.services[name] as Service
  const replicas = state.replicas.get(name) ?? []
  const idle: Replica[] = []
  for (const replica of replicas) {
    const { container } = replica
    const runs = container?.state.status === 'running' || container?.state.status === 'restarting'
    if (container && runs && !state.stopped.has(container.id)) {
      state.builder.note({ id: `Container ${container.name}`, done: 'Running' })
    } else idle.push(replica)
  }
  if (idle.length === 0) {
    state.started.set(name, [])
    return
  }
  const ready = dependenciesOf(state.project, service).flatMap((one) =>
    waitsOn(state, one.service, one.condition, one.required),
  )
  const init = planInit(state, name, service, replicas.length === idle.length, idle, ready)
  const last: number[] = []
  for (const replica of idle) {
    const { container, target } = replica
    const resource = container ? resourceOf(container) : `service:${name}:${replica.number}`
    const display = { id: `Container ${target.name}`, working: 'Starting', done: 'Started' }
    const dependsOn = [replica.made, container && state.stopped.get(container.id), ...ready, ...init]
    let after = state.builder.add({
      resource,
      action: { kind: container?.state.status === 'paused' ? 'unpauseContainer' : 'startContainer', container: target },
      cause: startCause(replica, state),
      dependsOn,
      display,
    })
    for (const hook of service.post_start ?? []) {
      after = state.builder.add({
        resource,
        action: { kind: 'runHook', phase: 'post_start', container: target, service: name, exec: toHookExec(hook) },
        cause: 'post_start',
        dependsOn: [after],
        display: { id: `Container ${target.name}` },
      })
    }
    last.push(after)
  }
  state.started.set(name, last)
}

function startCause(replica: Replica, state: PlanState): string {
  const { container } = replica
  if (!container) return 'created'
  return state.stopped.has(container.id) ? 'stopped before' : container.state.status
}

/** The operations whose end means that a dependency is as its dependents want it. */
function waitsOn(state: PlanState, name: string, condition: string, required: boolean): readonly number[] {
  const started = state.started.get(name) ?? []
  if (expectedScale(state, name) === 0 || state.project.services[name]?.provider) return started
  switch (condition) {
    case 'service_started':
      return started
    case 'service_healthy':
      return waits(state, name, 'healthy', required, started)
    case 'service_completed_successfully':
      return waits(state, name, 'completed', required, started)
    default:
      throw new TcomposeError('INVALID', `unsupported depends_on condition ${JSON.stringify(condition)}`)
  }
}

function waits(
  state: PlanState,
  name: string,
  condition: WaitCondition,
  required: boolean,
  started: readonly number[],
): readonly number[] {
  const key = `${name} ${condition} ${required}`
  const known = state.waits.get(key)
  if (known) return known
  const ids = (state.replicas.get(name) ?? []).map((replica, index) =>
    state.builder.add({
      resource: `service:${name}:${replica.number}`,
      action: { kind: 'waitFor', condition, container: replica.target, service: name, required },
      cause: WAIT_CAUSES[condition],
      dependsOn: started.length === (state.replicas.get(name)?.length ?? 0) ? [started[index]] : started,
      display: { id: `Container ${replica.target.name}`, working: 'Waiting' },
    }),
  )
  state.waits.set(key, ids)
  return ids
}

const WAIT_CAUSES: Readonly<Record<WaitCondition, string>> = {
  healthy: 'service_healthy',
  completed: 'service_completed_successfully',
  healthyOrRunning: 'wait',
  completedOrRunning: 'wait',
}

/** `pre_start`: once per service when none of its containers runs (or for each replica), one after the other. */
function planInit(
  state: PlanState,
  name: string,
  service: Service,
  noneRuns: boolean,
  idle: readonly Replica[],
  ready: readonly number[],
): readonly number[] {
  let after: readonly (number | undefined)[] = [...ready, ...idle.map((one) => one.made)]
  let last: number | undefined
  for (const hook of service.pre_start ?? []) {
    const times = hook.per_replica ? idle.length : noneRuns ? 1 : 0
    for (let time = 0; time < times; time++) {
      const id = state.options.newId()
      last = state.builder.add({
        resource: `service:${name}:pre_start`,
        action: { kind: 'runInit', id, service: name, spec: initSpec(state, name, service, hook, id) },
        cause: 'pre_start',
        dependsOn: after,
        display: { id: `Container ${state.project.name}-${name}-pre_start`, working: 'Running', done: 'Exited' },
      })
      after = [last]
    }
  }
  return last === undefined ? [] : [last]
}

function initSpec(
  state: PlanState,
  name: string,
  service: Service,
  hook: NonNullable<Service['pre_start']>[number],
  id: string,
): ContainerSpec {
  const image = state.observed.images.get(name)
  // Names must differ between hooks, and from what a killed run left behind.
  const containerName = `${state.project.name}-${name}-pre_start-${id.slice(0, 12)}`
  const labels: Record<string, string> = {
    ...containerLabels({
      project: state.project,
      service: name,
      config: service,
      hash: serviceHash(state.project, name),
      imageId: image?.id ?? '',
      imageVolumeDigest: undefined,
      number: undefined,
      oneOff: true,
    }),
    [LABEL.hook]: 'pre_start',
  }
  delete labels[LABEL.oneOff]
  const context = {
    ...specContext(
      state,
      name,
      containerName,
      hook.image || (image?.reference ?? imageName(state.project, name, service)),
      labels,
      undefined,
    ),
    aliases: false,
    oneOff: true,
  }
  const spec = toContainerSpec(
    {
      ...service,
      ...(hook.command ? { command: hook.command } : {}),
      ...(hook.user ? { user: hook.user } : {}),
      ...(hook.working_dir ? { working_dir: hook.working_dir } : {}),
      ...(hook.privileged ? { privileged: true } : {}),
      ports: [],
      healthcheck: { disable: true },
    } as Service,
    context,
  )
  return {
    ...spec,
    ...(hook.image ? { entrypoint: undefined } : {}),
    env: [...(spec.env ?? []), ...toEnvironment(hook.environment)],
  }
}

/** What a service waits for, without starting it. */
export function planDependencyWaits(state: PlanState, name: string): void {
  const service = state.project.services[name]
  if (!service) return
  for (const one of dependenciesOf(state.project, service)) waitsOn(state, one.service, one.condition, one.required)
}

/** The waits of `--wait`: everything runs or is healthy; what others wait for to end has ended. */
export function planWaits(state: PlanState, order: readonly string[]): void {
  const oneShots = new Set(
    Object.values(state.project.services).flatMap((service) =>
      dependenciesOf(state.project, service)
        .filter((one) => one.condition === 'service_completed_successfully')
        .map((one) => one.service),
    ),
  )
  for (const name of order) {
    const started = state.started.get(name) ?? []
    waits(state, name, oneShots.has(name) ? 'completed' : 'healthyOrRunning', true, started)
  }
}
