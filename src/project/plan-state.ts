import type { Project } from '../compose/types.ts'
import type { Container } from '../engine/containers/types.ts'
import { LABEL } from './labels.ts'
import { isOneOff, numberOf, type Separator, scaleOf, serviceOf } from './names.ts'
import type { Observed } from './observed.ts'
import type { PlanBuilder, Target } from './plan.ts'
import type { RecreatePolicy } from './recreate-reason.ts'

export interface ReconcileOptions {
  /** Services asked for by name; absent: all. The others of the project are their dependencies. */
  readonly services?: readonly string[] | undefined
  readonly recreate?: RecreatePolicy
  readonly recreateDependencies?: RecreatePolicy
  /** New containers take over the anonymous volumes of the ones they replace. Default true. */
  readonly inheritVolumes?: boolean
  readonly orphans?: 'warn' | 'remove' | 'ignore'
  readonly timeoutSeconds?: number | undefined
  /** Whether containers are started too. Default true. */
  readonly start?: boolean
  /** Wait at the end until everything runs or is healthy. */
  readonly wait?: boolean
  /**
   * The service of a `run`: its networks and volumes are made and its dependencies started and waited for, its own
   * containers are left as they are.
   */
  readonly oneOff?: string | undefined
  readonly separator?: Separator
  /** Names of volumes whose definition changed and that the user agreed to lose. */
  readonly recreateVolumes?: ReadonlySet<string>
  /** 64 hex digits; the plan names the containers it makes. */
  readonly newId: () => string
  /** Reads a small file of the host (seccomp profiles). */
  readonly readFile?: (path: string) => string
}

/** What the parts of the planning share. */
export interface PlanState {
  readonly project: Project
  readonly observed: Observed
  readonly options: ReconcileOptions
  readonly builder: PlanBuilder
  /** Operations that must have ended before a container on the network (by key) is created. */
  readonly networkReady: Map<string, readonly number[]>
  readonly volumeReady: Map<string, readonly number[]>
  /** Names of networks that this plan makes anew. */
  readonly renewedNetworks: Set<string>
  /** Containers that this plan stops although they stay, each with the operation after which it can be started. */
  readonly stopped: Map<string, number>
  /** Endpoints that were taken off for a renewed network: container id → what must be put back. */
  readonly detached: Map<string, { readonly container: Container; readonly network: string; readonly after: number }[]>
  /** Containers removed before their service is planned (their volume is made anew), with the removing operation. */
  readonly removed: Map<string, number>
  /** The containers a service will have, with the operation that makes each (none when it is there). */
  readonly replicas: Map<string, readonly Replica[]>
  /** Last operations of starting a service. */
  readonly started: Map<string, readonly number[]>
  readonly waits: Map<string, readonly number[]>
}

export interface Replica {
  readonly target: Target
  readonly number: number
  /** Operation after which it exists under its name; absent when it is there already. */
  readonly made?: number
  /** As it is now; absent for a new one. */
  readonly container?: Container
}

/** The state in which a planning begins. */
export function createPlanState(
  project: Project,
  observed: Observed,
  options: ReconcileOptions,
  builder: PlanBuilder,
): PlanState {
  return {
    project,
    observed,
    options,
    builder,
    networkReady: new Map(),
    volumeReady: new Map(),
    renewedNetworks: new Set(),
    stopped: new Map(),
    detached: new Map(),
    removed: new Map(),
    replicas: new Map(),
    started: new Map(),
    waits: new Map(),
  }
}

/** The service's own containers as they are, by number; one-offs left out. */
export function containersOf(observed: Observed, service: string): readonly Container[] {
  return observed.containers
    .filter((one) => serviceOf(one) === service && !isOneOff(one) && !isHookContainer(one))
    .sort((a, b) => numberOf(a) - numberOf(b) || (a.createdAt < b.createdAt ? -1 : 1))
}

function isHookContainer(container: Container): boolean {
  return container.labels[LABEL.hook] !== undefined
}

export function expectedScale(state: PlanState, name: string): number {
  const service = state.project.services[name]
  return service ? scaleOf(service) : 0
}
