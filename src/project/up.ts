import { silent } from '../base/progress.ts'
import type { Project } from '../compose/types.ts'
import type { Container } from '../engine/containers/types.ts'
import type { Engine } from '../engine/engine.ts'
import { type ConvergeOptions, planConvergence, withScale } from './converge.ts'
import { type ExecuteOptions, executePlan } from './execute.ts'
import { isOneOff } from './names.ts'
import { observe, projectContainers } from './observed.ts'
import { planDown } from './plan-down.ts'

export interface UpProjectOptions extends Partial<ConvergeOptions>, Pick<ExecuteOptions, 'beforeStart' | 'onOutput'> {
  /** Numbers of containers, by service. */
  readonly scale?: Readonly<Record<string, number>>
}

export interface DownProjectOptions {
  readonly volumes?: boolean
  readonly timeoutSeconds?: number
  readonly signal?: AbortSignal
}

/** A project that is up. Disposing of it takes it down, with its volumes: made for `await using` in tests. */
export interface RunningProject extends AsyncDisposable {
  readonly name: string
  containers(): Promise<readonly Container[]>
  /** `host:port` of a published port of a service. @throws Error when it publishes none */
  address(service: string, containerPort: number): Promise<string>
  down(options?: DownProjectOptions): Promise<void>
}

/** Brings a project up and waits until it is healthy (unless `wait: false`). */
export async function up(project: Project, engine: Engine, options: UpProjectOptions = {}): Promise<RunningProject> {
  const { scale, beforeStart, onOutput, ...rest } = options
  const scaled = withScale(project, new Map(Object.entries(scale ?? {})))
  const settings = { emit: silent, wait: true, ...rest }
  const convergence = await planConvergence(scaled, engine, settings)
  await executePlan(convergence.plan, engine, {
    emit: settings.emit,
    signal: settings.signal,
    onWarning: settings.onWarning,
    beforeStart,
    onOutput,
  })
  const { name } = project
  const containers = async (): Promise<readonly Container[]> =>
    (await projectContainers(engine, name)).filter((one) => !isOneOff(one))
  return {
    name,
    containers,
    async address(service, containerPort) {
      for (const container of await containers()) {
        if (container.labels['com.docker.compose.service'] !== service) continue
        const port = container.ports.find((one) => one.containerPort === containerPort)
        if (port)
          return `${port.hostIp === '' || port.hostIp === '0.0.0.0' ? '127.0.0.1' : port.hostIp}:${port.hostPort}`
      }
      throw new Error(`service ${service} does not publish port ${containerPort}`)
    },
    down: (more) => down(project, engine, more),
    [Symbol.asyncDispose]: () => down(project, engine, { volumes: true, timeoutSeconds: 0 }),
  }
}

/** Takes a project down: containers, one-offs, networks, and with `volumes` its volumes. */
export async function down(project: Project, engine: Engine, options: DownProjectOptions = {}): Promise<void> {
  const observed = await observe(engine, project.name, project)
  const plan = planDown(project.name, project, observed, {
    removeOrphans: true,
    volumes: options.volumes ?? false,
    timeoutSeconds: options.timeoutSeconds,
  })
  await executePlan(plan, engine, { emit: silent, signal: options.signal })
}
