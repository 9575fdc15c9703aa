import { posix } from 'node:path'
import { TcomposeError } from '../../base/errors.ts'
import { type Expanded, expand } from '../../dockerfile/expand.ts'
import type { Instruction } from '../../dockerfile/instructions.ts'
import type { ImageConfig, ImageRunConfig } from '../images/types.ts'
import type { Layer } from '../layers/types.ts'

export type HistoryEntry = NonNullable<ImageConfig['history']>[number]

/** What a stage is after some of its instructions. */
export interface StageState {
  readonly layers: readonly Layer[]
  readonly config: ImageRunConfig
  readonly author: string | undefined
  readonly history: readonly HistoryEntry[]
  /** ARGs in the order of their declaration; undefined: declared without value. */
  readonly args: ReadonlyMap<string, string | undefined>
  /** This Dockerfile has set CMD in this stage. */
  readonly commandSet: boolean
}

export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
export const DEFAULT_SHELL: readonly string[] = ['/bin/sh', '-c']

export function envValue(env: readonly string[], key: string): string | undefined {
  const entry = env.find((each) => each.startsWith(`${key}=`))
  return entry?.slice(key.length + 1)
}

/** Sets a variable in its place, or at the end. */
export function withEnv(env: readonly string[], key: string, value: string): readonly string[] {
  const entry = `${key}=${value}`
  const at = env.findIndex((each) => each.startsWith(`${key}=`))
  return at < 0 ? [...env, entry] : env.with(at, entry)
}

/** What variables mean for an instruction: the environment first, then arguments. */
export function lookupIn(state: StageState): (name: string) => string | undefined {
  const env = state.config.Env ?? []
  return (name) => envValue(env, name) ?? state.args.get(name)
}

export function expander(state: StageState, escapeToken: string): (text: string) => Expanded {
  const lookup = lookupIn(state)
  return (text) => expand(text, lookup, { escape: escapeToken })
}

type Metadata = Exclude<Instruction, { kind: 'run' | 'copy' | 'add' | 'workdir' | 'arg' }>

/**
 * Applies an instruction that changes nothing but the image's configuration.
 * @returns the new state and what the history says
 * @throws TcomposeError INVALID
 */
export function applyMetadata(
  state: StageState,
  instruction: Metadata,
  escapeToken: string,
): { readonly state: StageState; readonly createdBy: string } {
  const { config } = state
  const ex = expander(state, escapeToken)
  const word = (text: string) => ex(text).text
  const set = (change: Partial<ImageRunConfig>, createdBy: string, more: Partial<StageState> = {}) => ({
    state: { ...state, ...more, config: { ...config, ...change } },
    createdBy,
  })
  switch (instruction.kind) {
    case 'env': {
      const pairs = instruction.pairs.map((pair) => ({ key: word(pair.key), value: word(pair.value) }))
      const env = pairs.reduce((list, { key, value }) => withEnv(list, key, value), config.Env ?? [])
      return set({ Env: env }, `ENV ${pairs.map(({ key, value }) => `${key}=${value}`).join(' ')}`)
    }
    case 'label': {
      const labels = { ...config.Labels }
      const pairs = instruction.pairs.map((pair) => [word(pair.key), word(pair.value)] as const)
      for (const [key, value] of pairs) labels[key] = value
      return set({ Labels: labels }, `LABEL ${pairs.map(([key, value]) => `${key}=${value}`).join(' ')}`)
    }
    case 'expose': {
      const ports = instruction.ports.flatMap((text) => ex(text).words).flatMap(exposedPorts)
      const all = { ...config.ExposedPorts, ...Object.fromEntries(ports.map((port) => [port, {}])) }
      return set({ ExposedPorts: all }, `EXPOSE [${ports.join(' ')}]`)
    }
    case 'volume': {
      const volumes = instruction.volumes.map(word)
      if (volumes.includes('')) throw new TcomposeError('INVALID', 'VOLUME specified can not be an empty string')
      const all = { ...config.Volumes, ...Object.fromEntries(volumes.map((volume) => [volume, {}])) }
      return set({ Volumes: all }, `VOLUME [${volumes.join(' ')}]`)
    }
    case 'user': {
      const user = word(instruction.user)
      return set({ User: user }, `USER ${user}`)
    }
    case 'stopsignal': {
      const stopSignal = word(instruction.stopSignal)
      checkSignal(stopSignal)
      return set({ StopSignal: stopSignal }, `STOPSIGNAL ${stopSignal}`)
    }
    case 'shell':
      return set({ Shell: instruction.words }, `SHELL [${instruction.words.join(' ')}]`)
    case 'cmd': {
      const args = commandArgs(instruction, config)
      return set({ Cmd: args }, `CMD ${quoted(args)}`, { commandSet: true })
    }
    case 'entrypoint': {
      const args = commandArgs(instruction, config)
      const rest = state.commandSet ? config : without(config, 'Cmd')
      return {
        state: { ...state, config: { ...rest, Entrypoint: args } },
        createdBy: `ENTRYPOINT ${quoted(args)}`,
      }
    }
    case 'healthcheck': {
      const { test, interval, timeout, startPeriod, startInterval, retries } = instruction.healthcheck
      return set(
        {
          Healthcheck: {
            Test: test,
            ...(interval > 0 ? { Interval: interval } : {}),
            ...(timeout > 0 ? { Timeout: timeout } : {}),
            ...(startPeriod > 0 ? { StartPeriod: startPeriod } : {}),
            ...(startInterval > 0 ? { StartInterval: startInterval } : {}),
            ...(retries > 0 ? { Retries: retries } : {}),
          },
        },
        `HEALTHCHECK ${quoted(test)}`,
      )
    }
    case 'onbuild': {
      const triggers = [...(config.OnBuild ?? []), instruction.expression]
      return set({ OnBuild: triggers }, `ONBUILD ${instruction.expression}`)
    }
    case 'maintainer':
      return { state: { ...state, author: instruction.maintainer }, createdBy: `MAINTAINER ${instruction.maintainer}` }
  }
}

/** Removes a field, rather than leaving it undefined in the config. */
export function without<K extends keyof ImageRunConfig>(config: ImageRunConfig, key: K): Omit<ImageRunConfig, K> {
  const { [key]: _, ...rest } = config
  return rest
}

export function commandArgs(
  line: { readonly shell: boolean; readonly args: readonly string[] },
  config: ImageRunConfig,
): readonly string[] {
  if (!line.shell) return line.args
  return [...(config.Shell ?? DEFAULT_SHELL), line.args.join(' ')]
}

function quoted(args: readonly string[]): string {
  return `[${args.map((arg) => JSON.stringify(arg)).join(' ')}]`
}

/** `80`, `8000-8002/udp`, `127.0.0.1:80:8080` → `80/tcp`, … @throws TcomposeError INVALID */
export function exposedPorts(text: string): readonly string[] {
  const bad = () => new TcomposeError('INVALID', `invalid containerPort: ${text}`)
  const [spec = '', protocol = 'tcp', ...more] = text.split('/')
  const name = protocol.toLowerCase() || 'tcp'
  if (more.length > 0) throw bad()
  if (!['tcp', 'udp', 'sctp'].includes(name)) throw new TcomposeError('INVALID', `invalid proto: ${protocol}`)
  const match = /^(\d+)(?:-(\d+))?$/.exec(spec.slice(spec.lastIndexOf(':') + 1))
  if (!match) throw bad()
  const [first, last] = [Number(match[1]), Number(match[2] ?? match[1])]
  if (first > last || last > 65_535 || first < 0) throw bad()
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${name}`)
}

const SIGNALS = new Set(
  (
    'ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP ' +
    'TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX'
  ).split(' '),
)

/** @throws TcomposeError INVALID */
function checkSignal(text: string): void {
  if (/^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= 64) return
  const name = text.toUpperCase().replace(/^SIG/, '')
  if (SIGNALS.has(name) || /^RT(MIN\+([1-9]|1[0-5])|MAX-([1-9]|1[0-4]))$/.test(name)) return
  throw new TcomposeError('INVALID', `invalid stop signal: ${text}`)
}

/** The path of a WORKDIR or a destination as it is kept: joined, not cleaned when it is absolute. */
export function workingDirectory(config: ImageRunConfig, path: string): string {
  return posix.isAbsolute(path) ? path : posix.join('/', config.WorkingDir ?? '', path)
}

/** `scratch`: nothing at all. */
export function scratchState(): StageState {
  return {
    layers: [],
    config: { Env: [`PATH=${DEFAULT_PATH}`], WorkingDir: '/' },
    author: undefined,
    history: [],
    args: new Map(),
    commandSet: false,
  }
}
