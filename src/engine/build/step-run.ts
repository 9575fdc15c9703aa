import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { TcomposeError } from '../../base/errors.ts'
import { heredocText, parseHeredocWord } from '../../dockerfile/heredoc.ts'
import type { RunInstruction } from '../../dockerfile/instructions.ts'
import { type Mount, readMount } from '../../dockerfile/mount.ts'
import { proxyEnv } from './build-args.ts'
import type { BuildRun } from './build-run.ts'
import { contextPath } from './copy-sources.ts'
import { keepAll } from './layer-tree.ts'
import { captureLayer } from './layer-writer.ts'
import { resolveFrom } from './resolve-from.ts'
import { mountTarget, prepareMounts } from './run-mounts.ts'
import { checkExit, makeBundle, type RunRequest, removeBundle, runCommand } from './run-step.ts'
import type { StepPlace, StepResult } from './stage.ts'
import { commandArgs, DEFAULT_PATH, DEFAULT_SHELL, envValue, expander, type StageState } from './stage-state.ts'
import { stepKey } from './step-cache.ts'
import { showStep } from './step-events.ts'

const PIPES = '/dev/pipes'

/** Runs a command over the stage's files; what it changes is the layer. */
export async function runStep(
  run: BuildRun,
  state: StageState,
  instruction: RunInstruction,
  place: StepPlace,
  onOutput: (text: string) => void,
): Promise<StepResult> {
  const ex = expander(state, run.file.escape)
  const mounts = instruction.mounts.map((text) => readMount(text, (value) => ex(value).text))
  const { args, script } = commandOf(instruction, state)
  if (args.length === 0) throw new TcomposeError('INVALID', 'RUN: no command is given')
  const env = runEnv(state)
  const network = networkOf(run, instruction)
  const insecure = isInsecure(run, instruction)
  if (instruction.devices.some((device) => !device.endsWith(',required=false') && device !== '')) {
    throw new TcomposeError('UNSUPPORTED', 'RUN --device is not supported: CDI devices of build steps')
  }
  const cwd = state.config.WorkingDir || '/'
  const hostname = run.given.BUILDKIT_SANDBOX_HOSTNAME ?? 'buildkitsandbox'
  const key = stepKey([
    'run',
    { args, script, env, cwd, user: state.config.User ?? '', hostname, network, insecure },
    await mountKeys(run, mounts, cwd, place),
    (run.request.extraHosts ?? []).map((entry) => entry.split(/[=:]/)[0]),
    state.layers.map((layer) => layer.key),
  ])
  const makeLayer = () =>
    captureLayer(
      run,
      state.layers,
      async (workspace) => {
        await using undo = new AsyncDisposableStack()
        const bundle = makeBundle(run.paths)
        undo.defer(() => removeBundle(bundle))
        const prepared = await prepareMounts(
          mounts,
          {
            db: run.db,
            paths: run.paths,
            bundle,
            scratch: workspace.directory,
            cwd,
            cacheNamespace: run.given.BUILDKIT_CACHE_MOUNT_NS ?? '',
            noCache: place.noCache,
            secret: (id) => secretOf(run, id),
            ssh: (id) => sshOf(run, id),
            tree: async (mount) => (await resolveFrom(run, mount.from, place.stageIndex)).tree,
            lowers: async (mount) => (await resolveFrom(run, mount.from, place.stageIndex)).lowers,
            signal: run.signal,
          },
          undo,
        )
        const pipes = script === undefined ? [] : [pipesMount(bundle, script)]
        const request: RunRequest = {
          args,
          env: [...env, ...prepared.env, ...missingOf(proxyEnv(run.given), env)],
          cwd,
          user: state.config.User ?? '',
          network,
          insecure,
          hostname,
          extraHosts: run.request.extraHosts ?? [],
          shmSizeBytes: run.request.shmSizeBytes,
          ulimits: run.request.ulimits ?? [],
          mounts: [...pipes, ...prepared.mounts],
          onOutput: (stream, text) => {
            onOutput(text)
            run.onEvent({ kind: 'log', id: place.id, stream, text })
          },
        }
        const exit = await runCommand(run, workspace, bundle, request, run.signal)
        checkExit(args, exit)
      },
      run.signal,
    )
  const layer = await showStep(run, place, () =>
    run.cache.layer(key, { name: place.name, fresh: place.noCache, signal: run.signal }, makeLayer),
  )
  const declared = [...state.args].filter(([, value]) => value !== undefined)
  const prefix = declared.length === 0 ? '' : `|${declared.length} ${declared.map(([k, v]) => `${k}=${v}`).join(' ')} `
  return {
    state: { ...state, layers: [...state.layers, layer] },
    createdBy: `RUN ${prefix}${args.join(' ')} # buildkit`,
    empty: false,
  }
}

/** What is executed: here-documents become text for the shell, or a script of their own. */
function commandOf(
  instruction: RunInstruction,
  state: StageState,
): { readonly args: readonly string[]; readonly script?: { readonly name: string; readonly text: string } } {
  const { heredocs } = instruction
  const [first] = heredocs
  if (!first) return { args: commandArgs(instruction, state.config) }
  const shell = state.config.Shell ?? DEFAULT_SHELL
  const [line = ''] = instruction.args
  if (heredocs.length === 1 && parseHeredocWord(line.trim())) {
    const text = heredocText(first)
    if (text.startsWith('#!')) return { args: [`${PIPES}/${first.name}`], script: { name: first.name, text } }
    return { args: [...shell, text] }
  }
  const full = heredocs.reduce((all, heredoc) => `${all}\n${heredoc.content}${heredoc.name}`, line)
  return { args: [...shell, full] }
}

function pipesMount(bundle: string, script: { readonly name: string; readonly text: string }) {
  const source = `${bundle}/pipes`
  mkdirSync(source, { mode: 0o755 })
  writeFileSync(`${source}/${script.name.replaceAll('/', '_')}`, script.text, { mode: 0o755 })
  return { mount: { kind: 'bind' as const, source, target: PIPES, readOnly: true } }
}

/** The environment first, then declared arguments it does not have. */
function runEnv(state: StageState): readonly string[] {
  const env = [...(state.config.Env ?? [])]
  if (envValue(env, 'PATH') === undefined) env.push(`PATH=${DEFAULT_PATH}`)
  for (const [key, value] of state.args) {
    if (value !== undefined && envValue(env, key) === undefined) env.push(`${key}=${value}`)
  }
  return env
}

function missingOf(more: readonly string[], env: readonly string[]): readonly string[] {
  return more.filter((entry) => envValue(env, entry.slice(0, entry.indexOf('='))) === undefined)
}

function networkOf(run: BuildRun, instruction: RunInstruction): RunRequest['network'] {
  const forced = run.request.network
  const mode = instruction.network === 'default' ? (forced ?? 'default') : instruction.network
  if (mode === 'none') return { kind: 'none' }
  if (mode === 'host') {
    // What the caller asks for is granted; the Dockerfile alone needs an entitlement.
    if (instruction.network === 'host' && !entitled(run, 'network.host') && forced !== 'host') {
      throw new TcomposeError('DENIED', 'network.host is not allowed', { hint: 'grant it: --allow network.host' })
    }
    return { kind: 'host' }
  }
  return { kind: 'bridge', name: mode === 'default' ? 'bridge' : mode }
}

function isInsecure(run: BuildRun, instruction: RunInstruction): boolean {
  if (run.request.privileged) return true
  if (instruction.security === 'sandbox') return false
  if (entitled(run, 'security.insecure')) return true
  throw new TcomposeError('DENIED', 'security.insecure is not allowed', { hint: 'grant it: --allow security.insecure' })
}

function entitled(run: BuildRun, name: string): boolean {
  return (run.request.entitlements ?? []).includes(name)
}

function secretOf(run: BuildRun, id: string): Uint8Array | undefined {
  const secret = (run.request.secrets ?? []).find((each) => each.id === id)
  if (!secret) return undefined
  if (secret.data !== undefined) return Buffer.from(secret.data)
  if (secret.env !== undefined) {
    const value = run.env[secret.env]
    return value === undefined ? undefined : Buffer.from(value)
  }
  if (secret.file !== undefined) return readFileSync(secret.file)
  return undefined
}

function sshOf(run: BuildRun, id: string): string | undefined {
  for (const entry of run.request.ssh ?? []) {
    const [name = '', path] = entry.split(/=(.*)/s)
    if (name !== id) continue
    const socket = path || run.env.SSH_AUTH_SOCK
    if (socket === undefined || socket === '') {
      throw new TcomposeError('NOT_FOUND', `ssh ${id}: SSH_AUTH_SOCK is not set`)
    }
    if (!statSync(socket).isSocket()) {
      throw new TcomposeError('UNSUPPORTED', `ssh ${id}: ${socket} is a key, which only an ssh agent can use`, {
        hint: 'load it into an agent (ssh-add) and give the socket of that',
      })
    }
    return socket
  }
  return undefined
}

/** What counts of mounts: of caches neither name nor sharing, of bind mounts what is shown, of secrets never a value. */
async function mountKeys(run: BuildRun, mounts: readonly Mount[], cwd: string, place: StepPlace): Promise<unknown[]> {
  let ssh = 0
  const keys: unknown[] = []
  for (const mount of mounts) {
    const target = mountTarget(mount, cwd, ssh)
    if (mount.type === 'ssh') ssh++
    const common = [mount.type, target, mount.readOnly]
    switch (mount.type) {
      case 'bind': {
        const { tree } = await resolveFrom(run, mount.from, place.stageIndex)
        const path = contextPath(mount.source)
        const found = await tree.stat(path)
        keys.push([...common, found ? await tree.digest(found.path, keepAll) : 'missing'])
        break
      }
      case 'secret':
      case 'ssh':
        keys.push([...common, mount.id || mount.source, mount.mode, mount.uid, mount.gid, mount.env])
        break
      default:
        keys.push([...common, mount.sizeBytes])
    }
  }
  return keys
}
