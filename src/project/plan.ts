import type { BuildRequest } from '../engine/build/types.ts'
import type { ContainerSpec, EndpointSpec } from '../engine/containers/spec.ts'
import type { ExecSpec } from '../engine/containers/types.ts'
import type { NetworkSpec } from '../engine/networks/types.ts'
import type { VolumeSpec } from '../engine/volumes/types.ts'

/** Whom an operation acts on: the id for the engine, the name for people. */
export interface Target {
  readonly id: string
  readonly name: string
}

/** One engine call (or one wait), complete: the executor adds nothing to it. */
export type Action =
  | { readonly kind: 'createNetwork'; readonly spec: NetworkSpec }
  | { readonly kind: 'removeNetwork'; readonly network: Target; readonly inUse: 'warn' | 'fail' }
  | { readonly kind: 'connectContainer'; readonly container: Target; readonly endpoint: EndpointSpec }
  | { readonly kind: 'disconnectContainer'; readonly container: Target; readonly network: Target }
  | { readonly kind: 'createVolume'; readonly spec: VolumeSpec }
  | { readonly kind: 'removeVolume'; readonly name: string; readonly inUse: 'warn' | 'fail' }
  | {
      readonly kind: 'createContainer'
      readonly id: string
      readonly spec: ContainerSpec
      /** Containers whose mounts are added, as they are at that moment. */
      readonly volumesFrom?: readonly { readonly container: string; readonly readOnly: boolean }[]
    }
  | { readonly kind: 'renameContainer'; readonly container: Target; readonly to: string }
  | { readonly kind: 'startContainer'; readonly container: Target }
  | { readonly kind: 'stopContainer'; readonly container: Target; readonly timeoutSeconds: number | undefined }
  | { readonly kind: 'restartContainer'; readonly container: Target; readonly timeoutSeconds: number | undefined }
  | { readonly kind: 'killContainer'; readonly container: Target; readonly signal: string }
  | { readonly kind: 'pauseContainer'; readonly container: Target }
  | { readonly kind: 'unpauseContainer'; readonly container: Target }
  | {
      readonly kind: 'removeContainer'
      readonly container: Target
      readonly volumes: boolean
      readonly force: boolean
    }
  | {
      readonly kind: 'waitFor'
      readonly condition: WaitCondition
      readonly container: Target
      readonly service: string
      /** Without it a failure is a warning and the dependents start all the same. */
      readonly required: boolean
    }
  | {
      /** A `post_start` or `pre_stop` command inside a running container. */
      readonly kind: 'runHook'
      readonly phase: 'post_start' | 'pre_stop'
      readonly container: Target
      readonly service: string
      readonly exec: ExecSpec
    }
  | {
      /** A `pre_start` container: made, run to its end, removed. */
      readonly kind: 'runInit'
      readonly id: string
      readonly service: string
      readonly spec: ContainerSpec
    }
  | { readonly kind: 'buildImage'; readonly request: BuildRequest; readonly reference: string }
  | { readonly kind: 'pullImage'; readonly reference: string; readonly platform: string | undefined }
  | { readonly kind: 'removeImage'; readonly reference: string }
  | {
      readonly kind: 'runProvider'
      readonly project: string
      readonly service: string
      readonly command: 'up' | 'down' | 'stop'
      readonly type: string
      readonly options: readonly (readonly [string, string])[]
    }

/** `healthyOrRunning` is what `--wait` asks: healthy where there is a healthcheck, else running. */
export type WaitCondition = 'healthy' | 'completed' | 'healthyOrRunning' | 'completedOrRunning'

/** How an operation shows: nothing when it is a part of another one. */
export interface Display {
  /** `Container web-1` */
  readonly id: string
  readonly working?: string
  readonly done?: string
}

export interface Operation {
  /** 1, 2, … in the order of the plan. */
  readonly id: number
  /** `network:default`, `service:web:1` */
  readonly resource: string
  readonly action: Action
  /** Why, in a few words: `no container`, `config hash changed`. */
  readonly cause: string
  readonly dependsOn: readonly number[]
  readonly display: Display
  /**
   * What happens to it when an operation it does not depend on has failed: what makes things goes on, so that a failed
   * `up` leaves every container created; what starts things does not.
   */
  readonly afterFailure: 'run' | 'skip'
}

/** A container that the project has when the plan is done. */
export interface PlannedContainer {
  readonly id: string
  readonly name: string
  /** As log lines are marked: `web-1`. */
  readonly shortName: string
  readonly service: string
  /** Whether it runs already and the plan leaves it alone. */
  readonly running: boolean
}

/** A directed graph without cycles: every `dependsOn` names a smaller id. */
export interface Plan {
  readonly project: string
  readonly operations: readonly Operation[]
  /** Things that are as they should be, for the progress display (`Container web-1 Running`). */
  readonly unchanged: readonly Display[]
  readonly warnings: readonly string[]
  readonly containers: readonly PlannedContainer[]
}

/** `[1] -> #2 service:web:1, createContainer, no container`, one line per operation. */
export function formatPlan(plan: Plan): string {
  return plan.operations
    .map((one) => `[${one.dependsOn.join(',')}] -> #${one.id} ${one.resource}, ${one.action.kind}, ${one.cause}`)
    .join('\n')
}

export interface PlanBuilder {
  add(operation: {
    readonly resource: string
    readonly action: Action
    readonly cause: string
    readonly dependsOn?: readonly (number | undefined)[]
    readonly display: Display
    readonly afterFailure?: 'run' | 'skip'
  }): number
  note(display: Display): void
  warn(message: string): void
  expect(container: PlannedContainer): void
  build(): Plan
}

const MAKING: ReadonlySet<Action['kind']> = new Set([
  'createNetwork',
  'connectContainer',
  'disconnectContainer',
  'createVolume',
  'createContainer',
  'renameContainer',
  'stopContainer',
  'removeContainer',
  'removeNetwork',
  'removeVolume',
  'removeImage',
  'killContainer',
])

export function createPlanBuilder(project: string): PlanBuilder {
  const operations: Operation[] = []
  const unchanged: Display[] = []
  const warnings: string[] = []
  const containers: PlannedContainer[] = []
  return {
    add(one) {
      const id = operations.length + 1
      const dependsOn = [...new Set((one.dependsOn ?? []).filter((dep) => dep !== undefined))].sort((a, b) => a - b)
      operations.push({
        id,
        resource: one.resource,
        action: one.action,
        cause: one.cause,
        dependsOn,
        display: one.display,
        afterFailure: one.afterFailure ?? (MAKING.has(one.action.kind) ? 'run' : 'skip'),
      })
      return id
    },
    note: (display) => void unchanged.push(display),
    warn: (message) => void warnings.push(message),
    expect: (container) => void containers.push(container),
    build: () => ({ project, operations, unchanged, warnings, containers }),
  }
}
