import { TcomposeError } from '../base/errors.ts'
import { volumeHash } from '../compose/hash.ts'
import type { Project, VolumeConfig } from '../compose/types.ts'
import type { VolumeSpec } from '../engine/volumes/types.ts'
import { COMPOSE_VERSION, LABEL } from './labels.ts'
import { serviceOf } from './names.ts'
import type { Observed } from './observed.ts'
import type { PlanState } from './plan-state.ts'
import { planRemove, planStop } from './plan-stop.ts'

/** Names of the project's volumes that no longer match their definition; their data would be lost by making them anew. */
export function divergedVolumes(project: Project, observed: Observed): readonly string[] {
  return Object.entries(project.volumes ?? {}).flatMap(([key, config]) => {
    const name = config?.name ?? key
    const found = observed.volumes.get(name)
    if (config?.external || !found) return []
    const had = found.labels[LABEL.configHash]
    if (found.labels[LABEL.project] !== project.name || had === undefined) return []
    return had === volumeHash(project, key) ? [] : [name]
  })
}

export function planVolumes(state: PlanState): void {
  const { project, observed, builder } = state
  const diverged = new Set(divergedVolumes(project, observed))
  for (const [key, config] of Object.entries(project.volumes ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const name = config?.name ?? key
    const found = observed.volumes.get(name)
    if (config?.external) {
      if (!found) {
        throw new TcomposeError('NOT_FOUND', `external volume ${JSON.stringify(name)} not found`, {
          hint: `tcompose volume create ${name}`,
        })
      }
      continue
    }
    const spec = toVolumeSpec(project, key, config ?? {})
    if (!found) {
      state.volumeReady.set(key, [createVolume(state, key, spec, 'not found', [])])
      continue
    }
    const owner = found.labels[LABEL.project]
    if (owner !== project.name) builder.warn(foreignVolume(name, owner, project.name))
    else if (diverged.has(name)) {
      if (state.options.recreateVolumes?.has(name)) renewVolume(state, key, spec)
      else
        builder.warn(
          `volume ${JSON.stringify(name)} exists but doesn't match configuration in compose file; it is left as it is`,
        )
    }
  }
}

function foreignVolume(name: string, owner: string | undefined, project: string): string {
  const why =
    owner === undefined
      ? 'was not created by Docker Compose'
      : `was created for project ${JSON.stringify(owner)} (expected ${JSON.stringify(project)})`
  return `volume ${JSON.stringify(name)} already exists but ${why}. Use \`external: true\` to use an existing volume`
}

function createVolume(
  state: PlanState,
  key: string,
  spec: VolumeSpec,
  cause: string,
  after: readonly number[],
): number {
  return state.builder.add({
    resource: `volume:${key}`,
    action: { kind: 'createVolume', spec },
    cause,
    dependsOn: after,
    display: { id: `Volume ${spec.name}`, working: 'Creating', done: 'Created' },
  })
}

/** A volume can only be removed when no container has it: those go first, and are created anew with their service. */
function renewVolume(state: PlanState, key: string, spec: VolumeSpec): void {
  const { builder, observed, project, options } = state
  const name = spec.name as string
  const cause = `volume ${key} changed`
  const gone: number[] = []
  for (const container of observed.containers) {
    if (!container.mounts.some((mount) => mount.kind === 'volume' && mount.name === name)) continue
    let removed = state.removed.get(container.id)
    if (removed === undefined) {
      const stop = planStop(builder, container, cause, {
        timeoutSeconds: options.timeoutSeconds,
        service: project.services[serviceOf(container)],
      })
      removed = planRemove(builder, container, cause, { after: [stop] })
      state.removed.set(container.id, removed)
    }
    gone.push(removed)
  }
  const remove = builder.add({
    resource: `volume:${key}`,
    action: { kind: 'removeVolume', name, inUse: 'fail' },
    cause: 'config hash changed',
    dependsOn: gone,
    display: { id: `Volume ${name}`, working: 'Removing' },
  })
  state.volumeReady.set(key, [createVolume(state, key, spec, 'config hash changed', [remove])])
}

export function toVolumeSpec(project: Project, key: string, config: VolumeConfig): VolumeSpec {
  const labels: Record<string, string> = {}
  for (const [name, value] of Object.entries(config.labels ?? {})) labels[name] = String(value ?? '')
  labels[LABEL.volume] = key
  labels[LABEL.project] = project.name
  labels[LABEL.version] = COMPOSE_VERSION
  labels[LABEL.configHash] = volumeHash(project, key)
  return {
    name: config.name ?? key,
    driver: config.driver || 'local',
    driverOpts: Object.fromEntries(
      Object.entries(config.driver_opts ?? {}).map(([name, value]) => [name, String(value)]),
    ),
    labels,
  }
}
