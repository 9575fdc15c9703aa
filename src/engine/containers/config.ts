import { hostname as hostName } from 'node:os'
import { posix } from 'node:path'
import { TcomposeError } from '../../base/errors.ts'
import { DEFAULT_PATH } from '../../runtime/oci-spec.ts'
import type { ImageRunConfig } from '../images/types.ts'
import { parseSignal } from './signals.ts'
import type { ContainerSpec, HealthcheckSpec } from './spec.ts'
import type { ContainerConfig } from './types.ts'

const DEFAULT_STOP_TIMEOUT_SECONDS = 10

const HEALTH_DEFAULTS = {
  intervalNs: 30e9,
  timeoutNs: 30e9,
  startPeriodNs: 0,
  startIntervalNs: 5e9,
  retries: 3,
}

/**
 * Merges what a container is asked to be with its image's configuration, by Docker's rules.
 * @throws TcomposeError INVALID: no command, a relative working directory, a bad signal or port
 */
export function mergeConfig(spec: ContainerSpec, image: ImageRunConfig, id: string): ContainerConfig {
  const { entrypoint, command } = mergeCommand(spec, image)
  if (entrypoint.length + command.length === 0) throw new TcomposeError('INVALID', 'no command specified')
  const workingDir = spec.workingDir || image.WorkingDir || '/'
  if (!workingDir.startsWith('/')) {
    throw new TcomposeError(
      'INVALID',
      `the working directory '${workingDir}' is invalid, it needs to be an absolute path`,
    )
  }
  const stopSignal = spec.stopSignal || image.StopSignal || 'SIGTERM'
  parseSignal(stopSignal)
  return {
    user: spec.user || image.User || '',
    env: mergeEnv(image.Env ?? [], spec.env ?? []),
    entrypoint,
    command,
    workingDir: cleanPath(workingDir),
    stopSignal,
    stopTimeoutSeconds: spec.stopTimeoutSeconds ?? DEFAULT_STOP_TIMEOUT_SECONDS,
    healthcheck: mergeHealthcheck(spec.healthcheck, image.Healthcheck),
    exposedPorts: [...new Set([...Object.keys(image.ExposedPorts ?? {}), ...(spec.exposedPorts ?? [])].map(port))],
    volumes: Object.keys(image.Volumes ?? {}).map(cleanPath),
    hostname: spec.hostname || id.slice(0, 12),
    domainname: spec.domainname ?? '',
    image: spec.image,
  }
}

/** An entrypoint of the spec drops the image's command, unless it is empty; `['']` drops both. */
function mergeCommand(
  spec: ContainerSpec,
  image: ImageRunConfig,
): { readonly entrypoint: readonly string[]; readonly command: readonly string[] } {
  const own = spec.command ?? []
  if (spec.entrypoint !== undefined && spec.entrypoint.length > 0) {
    const cleared = spec.entrypoint.length === 1 && spec.entrypoint[0] === ''
    return { entrypoint: cleared ? [] : spec.entrypoint, command: own }
  }
  return {
    entrypoint: spec.entrypoint ?? image.Entrypoint ?? [],
    command: own.length > 0 ? own : (image.Cmd ?? []),
  }
}

/** Adds `over` to `base`: a later value takes the place of an earlier one; `K` without `=` takes the variable away. */
export function mergeEnv(base: readonly string[], over: readonly string[]): readonly string[] {
  const result = [...base]
  const places = new Map(result.map((entry, index) => [nameOf(entry), index]))
  const removed = new Set<number>()
  for (const entry of over) {
    const name = nameOf(entry)
    const place = places.get(name)
    if (!entry.includes('=')) {
      if (place !== undefined) removed.add(place)
      places.delete(name)
    } else if (place === undefined) {
      places.set(name, result.push(entry) - 1)
    } else {
      result[place] = entry
    }
  }
  return result.filter((_, index) => !removed.has(index))
}

function nameOf(entry: string): string {
  const equals = entry.indexOf('=')
  return equals < 0 ? entry : entry.slice(0, equals)
}

/** The name a container bears: the host's in its UTS namespace, and in its network unless another was asked for. */
export function hostnameOf(spec: ContainerSpec, config: ContainerConfig): string {
  const isHosts = spec.namespaces?.uts === 'host' || (spec.network.kind === 'host' && !spec.hostname)
  return isHosts ? hostName() : config.hostname
}

/** The whole environment of the first process: Docker's own variables, then those of image and spec. */
export function processEnv(config: ContainerConfig, hostname: string, tty: boolean): readonly string[] {
  return mergeEnv([DEFAULT_PATH, `HOSTNAME=${hostname}`, ...(tty ? ['TERM=xterm'] : [])], config.env)
}

function mergeHealthcheck(
  own: HealthcheckSpec | undefined,
  image: ImageRunConfig['Healthcheck'],
): HealthcheckSpec | undefined {
  const test = own?.test?.length ? own.test : image?.Test
  if (!test?.length || test[0] === 'NONE') return undefined
  const [kind] = test
  if (kind !== 'CMD' && kind !== 'CMD-SHELL') {
    throw new TcomposeError('INVALID', `unknown healthcheck type ${JSON.stringify(kind)}`, {
      hint: 'it begins with CMD, CMD-SHELL or NONE',
    })
  }
  return {
    test,
    intervalNs: own?.intervalNs || image?.Interval || HEALTH_DEFAULTS.intervalNs,
    timeoutNs: own?.timeoutNs || image?.Timeout || HEALTH_DEFAULTS.timeoutNs,
    startPeriodNs: own?.startPeriodNs || image?.StartPeriod || HEALTH_DEFAULTS.startPeriodNs,
    startIntervalNs: own?.startIntervalNs || image?.StartInterval || HEALTH_DEFAULTS.startIntervalNs,
    retries: own?.retries || image?.Retries || HEALTH_DEFAULTS.retries,
  }
}

function port(text: string): string {
  const match = /^(\d+(?:-\d+)?)(?:\/(tcp|udp|sctp))?$/.exec(text)
  if (!match) throw new TcomposeError('INVALID', `invalid exposed port ${JSON.stringify(text)}`)
  return `${match[1]}/${match[2] ?? 'tcp'}`
}

/** `/a/../b//c/` → `/b/c`. */
export function cleanPath(path: string): string {
  const clean = posix.normalize(`/${path}`)
  return clean.length > 1 && clean.endsWith('/') ? clean.slice(0, -1) : clean
}
