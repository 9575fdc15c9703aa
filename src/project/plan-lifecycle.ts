import { TcomposeError } from '../base/errors.ts'
import type { Project } from '../compose/types.ts'
import type { Container } from '../engine/containers/types.ts'
import { dependenciesOf, dependentsOf, startOrder } from './graph.ts'
import { toHookExec } from './hook-spec.ts'
import { isOneOff, numberOf, scaleOf, serviceOf } from './names.ts'
import type { Observed } from './observed.ts'
import { createPlanBuilder, type Plan } from './plan.ts'
import { planStops, providerOptions } from './plan-down.ts'
import { planStart, planWaits } from './plan-start.ts'
import { containersOf, createPlanState } from './plan-state.ts'
import { isAlive, planRemove, resourceOf, targetOf } from './plan-stop.ts'

/** Containers of the named services (of all, without names); one-offs are never among them. */
export function selectContainers(observed: Observed, services: readonly string[]): readonly Container[] {
  return observed.containers.filter(
    (one) => !isOneOff(one) && numberOf(one) > 0 && (services.length === 0 || services.includes(serviceOf(one))),
  )
}

/** `stop`: reverse dependency order; providers that can be stopped too. */
export function planStopServices(
  name: string,
  project: Project | undefined,
  observed: Observed,
  options: { readonly services: readonly string[]; readonly timeoutSeconds?: number | undefined },
): Plan {
  const builder = createPlanBuilder(name)
  const chosen = selectContainers(observed, options.services)
  const stops = planStops(builder, project, chosen, 'stop', options.timeoutSeconds)
  for (const one of chosen) {
    if (one.state.status === 'exited') builder.note({ id: `Container ${one.name}`, done: 'Stopped' })
  }
  for (const [service, config] of Object.entries(project?.services ?? {})) {
    if (!config.provider || (options.services.length > 0 && !options.services.includes(service))) continue
    builder.add({
      resource: `service:${service}`,
      action: {
        kind: 'runProvider',
        project: name,
        service,
        command: 'stop',
        type: config.provider.type,
        options: providerOptions(config.provider.options),
      },
      cause: 'stop',
      dependsOn: [...stops.values()],
      display: { id: service, working: 'Stopping', done: 'Stopped' },
      afterFailure: 'run',
    })
  }
  return builder.build()
}

/** `start`: containers that are there, in dependency order. @throws TcomposeError NOT_FOUND when a service has none */
export function planStartServices(
  project: Project,
  observed: Observed,
  options: { readonly wait?: boolean; readonly newId: () => string },
): Plan {
  const builder = createPlanBuilder(project.name)
  const state = createPlanState(project, observed, { newId: options.newId }, builder)
  const order = startOrder(project).filter((name) => !project.services[name]?.provider)
  for (const name of order) {
    const containers = containersOf(observed, name)
    const service = project.services[name]
    if (containers.length === 0 && service && scaleOf(service) > 0) {
      throw new TcomposeError('NOT_FOUND', `service ${JSON.stringify(name)} has no container to start`, {
        hint: `tcompose up -d ${name} creates it`,
      })
    }
    state.replicas.set(
      name,
      containers.map((container) => ({ target: targetOf(container), number: numberOf(container), container })),
    )
  }
  for (const name of order) planStart(state, name)
  if (options.wait) planWaits(state, order)
  return builder.build()
}

/** `restart`: in dependency order, with the dependents that ask for it (`depends_on.restart`). */
export function planRestart(
  project: Project,
  observed: Observed,
  options: {
    readonly services: readonly string[]
    readonly noDeps?: boolean
    readonly timeoutSeconds?: number | undefined
  },
): Plan {
  const builder = createPlanBuilder(project.name)
  const chosen = new Set(options.services.length > 0 ? options.services : Object.keys(project.services))
  if (!options.noDeps) {
    for (const name of [...chosen]) {
      for (const one of dependentsOf(project, name)) if (one.restart) chosen.add(one.service)
    }
  }
  const ended = new Map<string, number[]>()
  for (const name of startOrder(project)) {
    const service = project.services[name]
    if (!chosen.has(name) || !service) continue
    const after = dependenciesOf(project, service).flatMap((one) => ended.get(one.service) ?? [])
    const own: number[] = []
    for (const container of containersOf(observed, name)) {
      const resource = resourceOf(container)
      let last: readonly number[] = after
      const hook = (phase: 'pre_stop' | 'post_start', list: NonNullable<typeof service.post_start>): void => {
        for (const one of list) {
          const id = builder.add({
            resource,
            action: { kind: 'runHook', phase, container: targetOf(container), service: name, exec: toHookExec(one) },
            cause: phase,
            dependsOn: last,
            display: { id: `Container ${container.name}` },
          })
          last = [id]
        }
      }
      if (isAlive(container)) hook('pre_stop', service.pre_stop ?? [])
      last = [
        builder.add({
          resource,
          action: { kind: 'restartContainer', container: targetOf(container), timeoutSeconds: options.timeoutSeconds },
          cause: options.services.length === 0 || options.services.includes(name) ? 'restart' : 'dependency restarted',
          dependsOn: last,
          display: { id: `Container ${container.name}`, working: 'Restarting', done: 'Started' },
        }),
      ]
      hook('post_start', service.post_start ?? [])
      own.push(...last)
    }
    ended.set(name, own)
  }
  return builder.build()
}

/** `kill`, `pause`, `unpause`: all at once. */
export function planSignal(
  name: string,
  containers: readonly Container[],
  what: { readonly kind: 'kill'; readonly signal: string } | { readonly kind: 'pause' } | { readonly kind: 'unpause' },
): Plan {
  const builder = createPlanBuilder(name)
  for (const container of containers) {
    const common = { resource: resourceOf(container), cause: what.kind }
    const id = `Container ${container.name}`
    const target = targetOf(container)
    switch (what.kind) {
      case 'kill':
        if (!isAlive(container)) continue
        builder.add({
          ...common,
          action: { kind: 'killContainer', container: target, signal: what.signal },
          display: { id, working: 'Killing', done: 'Killed' },
        })
        break
      case 'pause':
        if (container.state.status !== 'running') continue
        builder.add({
          ...common,
          action: { kind: 'pauseContainer', container: target },
          display: { id, done: 'Paused' },
        })
        break
      case 'unpause':
        if (container.state.status !== 'paused') continue
        builder.add({
          ...common,
          action: { kind: 'unpauseContainer', container: target },
          display: { id, done: 'Unpaused' },
        })
        break
    }
  }
  return builder.build()
}

/** `rm`: the stopped ones, or with `stop` all of them. */
export function planRemoveServices(
  name: string,
  project: Project | undefined,
  containers: readonly Container[],
  options: { readonly stop?: boolean; readonly volumes?: boolean; readonly timeoutSeconds?: number | undefined },
): Plan {
  const builder = createPlanBuilder(name)
  const chosen = containers.filter((one) => options.stop || !isAlive(one))
  const stops = planStops(builder, project, chosen, 'rm --stop', options.timeoutSeconds)
  for (const one of chosen) {
    planRemove(builder, one, 'rm', { after: [stops.get(one.id)], volumes: options.volumes ?? false, force: true })
  }
  return builder.build()
}
