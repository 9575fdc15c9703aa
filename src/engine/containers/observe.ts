import { isAlive, processStart } from '../../platform/process.ts'
import { readExit, readPid } from '../../runtime/shim-files.ts'
import { bundleDir, type EnginePaths } from '../state/paths.ts'
import type { StoredContainer, StoredState } from './store.ts'
import { formatNano, nowNano } from './timestamps.ts'
import type { Container, ContainerState } from './types.ts'

/** Docker's exit code for a container that was running when the machine went down. */
const EXIT_LOST_WITH_BOOT = 255

/** What the files of a container and /proc say about its stored state. */
export interface Observation {
  readonly state: StoredState
  /**
   * `ended`: its process has gone and the record does not say so yet; `aborted`: a start was cut short before anything
   * ran; `running`: a start was cut short after its process ran. All three are to be written back by who holds the lock.
   */
  readonly news: 'none' | 'ended' | 'aborted' | 'running'
  /** The shim died without leaving an exit record: its container may live on, without anyone to hold its output. */
  readonly shimKilled: boolean
}

/**
 * Looks at /proc and one small file for a container that the record holds for live; at nothing for the others.
 * `locked`: the caller holds the container's lock, so that no start can be under way any more.
 */
export function observe(stored: StoredState, bundle: string, boot: string, locked = false): Observation {
  const starting = stored.phase === 'starting'
  if (!starting && stored.status !== 'running' && stored.status !== 'paused') {
    return { state: stored, news: 'none', shimKilled: false }
  }
  const sameBoot = stored.bootId === boot
  const shimLives = sameBoot && isAlive({ pid: stored.shimPid, start: stored.shimStart })
  // Only after that: a shim that ends now has written its record before.
  const exit = sameBoot ? readExit(bundle) : undefined
  if (exit) {
    const state: StoredState = {
      ...ended(stored),
      exitCode: exit.exitCode,
      oomKilled: exit.oomKilled,
      error: exit.error ?? '',
      startedAt: stored.startedAt,
      finishedAt: formatNano(exit.finishedAt),
    }
    return { state, news: 'ended', shimKilled: false }
  }
  if (shimLives)
    return starting ? observeStarting(stored, bundle, locked) : { state: stored, news: 'none', shimKilled: false }
  if (starting) return observeCutShort(stored, bundle, sameBoot, locked)
  return {
    state: {
      ...ended(stored),
      exitCode: sameBoot ? 137 : EXIT_LOST_WITH_BOOT,
      error: sameBoot ? 'its shim was killed' : '',
      finishedAt: nowNano(),
    },
    news: 'ended',
    shimKilled: sameBoot,
  }
}

/** A start is under way, or its process was killed after the container ran. */
function observeStarting(stored: StoredState, bundle: string, locked: boolean): Observation {
  const pid = readPid(bundle)
  if (pid === undefined)
    return locked ? aborted(stored) : { state: withStatus(stored), news: 'none', shimKilled: false }
  const { phase: _, holder, before: __, ...rest } = stored
  const state: StoredState = {
    ...rest,
    status: 'running',
    pid: pid.pid,
    pidStart: pid.start,
    startedAt: stored.startedAt,
  }
  const held = !locked && holder !== undefined && isAlive(holder)
  return { state, news: held ? 'none' : 'running', shimKilled: false }
}

function observeCutShort(stored: StoredState, bundle: string, sameBoot: boolean, locked: boolean): Observation {
  const { holder } = stored
  const held = !locked && sameBoot && holder !== undefined && isAlive(holder)
  if (held) return { state: withStatus(stored), news: 'none', shimKilled: false }
  const ran = sameBoot && readPid(bundle) !== undefined
  if (!ran) return aborted(stored)
  return {
    state: { ...ended(stored), exitCode: 137, error: 'its shim was killed', finishedAt: nowNano() },
    news: 'ended',
    shimKilled: true,
  }
}

function aborted(stored: StoredState): Observation {
  const { phase: _, holder: __, before: ___, ...rest } = withStatus(stored)
  return { state: { ...rest, shimPid: 0, shimStart: '', pid: 0, pidStart: '' }, news: 'aborted', shimKilled: false }
}

/** Until it runs, a container that is being started shows what it was before. */
function withStatus(stored: StoredState): StoredState {
  return { ...stored, status: stored.before ?? 'created' }
}

function ended(stored: StoredState): StoredState {
  const { phase: _, holder: __, before: ___, ...rest } = stored
  return { ...rest, status: 'exited', pid: 0, pidStart: '', shimPid: 0, shimStart: '', health: keepLog(stored) }
}

/** Docker keeps the last results of the probes, and the status as it was. */
function keepLog(stored: StoredState): ContainerState['health'] {
  return stored.health
}

/** A stored container as callers see it. */
export function present(stored: StoredContainer, state: ContainerState): Container {
  const live = state.status === 'running' || state.status === 'paused'
  return {
    id: stored.id,
    name: stored.name,
    createdAt: stored.record.createdAt,
    imageId: stored.imageId,
    spec: stored.record.spec,
    config: stored.record.config,
    args: stored.record.args,
    labels: stored.record.labels,
    state: publicState(state),
    mounts: stored.record.mounts,
    endpoints: stored.endpoints,
    ports: live ? stored.ports : [],
    logPath: stored.record.logPath,
  }
}

function publicState(state: ContainerState): ContainerState {
  return {
    status: state.status,
    pid: state.pid,
    pidStart: state.pidStart,
    shimPid: state.shimPid,
    shimStart: state.shimStart,
    exitCode: state.exitCode,
    oomKilled: state.oomKilled,
    error: state.error,
    startedAt: state.startedAt,
    finishedAt: state.finishedAt,
    restartCount: state.restartCount,
    stoppedByUser: state.stoppedByUser,
    health: state.health,
  }
}

/** The container as it is now. */
export function observeContainer(stored: StoredContainer, paths: EnginePaths, boot: string): Container {
  return present(stored, observe(stored.state, bundleDir(paths, stored.id), boot).state)
}

/** Identity of this process, for records of steps under way. */
export function selfIdentity(): { readonly pid: number; readonly start: string } {
  return { pid: process.pid, start: processStart(process.pid) ?? '' }
}

/** Whether a look at record and /proc shows something that `reconcile` mends: an end nobody recorded, a step cut short. */
export function isBroken(stored: StoredContainer, paths: EnginePaths, boot: string): boolean {
  const { phase, holder, bootId } = stored.state
  const held = holder !== undefined && bootId === boot && isAlive(holder)
  if (phase && !held) return true
  return observe(stored.state, bundleDir(paths, stored.id), boot).news !== 'none'
}
