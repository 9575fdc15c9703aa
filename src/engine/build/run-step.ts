import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { posix } from 'node:path'
import { StringDecoder } from 'node:string_decoder'
import { errnoOf, TcomposeError, throwIfAborted } from '../../base/errors.ts'
import { randomHex, randomId } from '../../base/id.ts'
import { buildOciSpec, networkSysctls } from '../../runtime/oci-spec.ts'
import { readHostFacts } from '../../runtime/oci-spec-host.ts'
import type { OciSpecInput, SpecMount } from '../../runtime/oci-spec-input.ts'
import { readRootFile, resolveRootPath } from '../../runtime/root-reader.ts'
import { connectShim, type LaunchRequest, launchShim, type ShimExit } from '../../runtime/shim-client.ts'
import { destroyLeftover } from '../../runtime/shim-leftover.ts'
import { resolveUser } from '../../runtime/user.ts'
import { hostsFile, hostsFileOfHost, resolvConfFile } from '../containers/host-files.ts'
import type { Networks } from '../networks/types.ts'
import type { EnginePaths } from '../state/paths.ts'
import type { Workspace } from './layer-writer.ts'

export interface RunRequest {
  readonly args: readonly string[]
  readonly env: readonly string[]
  readonly cwd: string
  readonly user: string
  readonly network: { readonly kind: 'none' | 'host' } | { readonly kind: 'bridge'; readonly name: string }
  readonly insecure: boolean
  readonly hostname: string
  readonly extraHosts: readonly string[]
  readonly shmSizeBytes: number | undefined
  readonly ulimits: readonly { readonly name: string; readonly soft: number; readonly hard: number }[]
  readonly mounts: readonly PreparedMount[]
  readonly onOutput: (stream: 'stdout' | 'stderr', text: string) => void
}

/** A mount of a RUN step, made ready by `prepareMounts`. */
export interface PreparedMount {
  readonly mount: SpecMount
  /** Overlay to be shown read-only below the bundle, from where `mount` binds it. */
  readonly image?: { readonly path: string; readonly lowers: readonly string[] }
}

export interface RunDeps {
  readonly paths: EnginePaths
  readonly networks: Networks
}

/** A step's bundle: where its mounts may put things that live as long as the step. */
export function makeBundle(paths: EnginePaths): string {
  // Not 32 digits: whoever clears up after containers leaves it alone.
  const bundle = `${paths.bundles}/build-${randomHex(16)}`
  mkdirSync(bundle, { recursive: true, mode: 0o700 })
  return bundle
}

/**
 * Runs a command over the workspace.
 * @returns how it ended
 * @throws TcomposeError FAILED when it cannot be started
 */
export async function runCommand(
  deps: RunDeps,
  workspace: Workspace,
  bundle: string,
  request: RunRequest,
  signal?: AbortSignal,
): Promise<ShimExit> {
  throwIfAborted(signal)
  const id = randomId()
  const stubs = missingPlaces(workspace, request)
  try {
    return await runInShim(deps, workspace, { id, bundle, request, signal })
  } finally {
    removeStubs(workspace.upper, stubs)
  }
}

async function runInShim(
  deps: RunDeps,
  workspace: Workspace,
  { id, bundle, request, signal }: { id: string; bundle: string; request: RunRequest; signal: AbortSignal | undefined },
): Promise<ShimExit> {
  const bridge = request.network.kind === 'bridge'
  await using undo = new AsyncDisposableStack()
  const endpoints = []
  if (request.network.kind === 'bridge') {
    undo.defer(async () => {
      await deps.networks.detach(id)
      await deps.networks.release(id)
    })
    endpoints.push(await deps.networks.allocate(id, { network: request.network.name }, []))
  }
  const addresses = endpoints.map((endpoint) => endpoint.ipv4).filter((address) => address !== '')
  const spec = await specOf(deps, workspace, { id, bundle, request, addresses })
  const launch: LaunchRequest = {
    id,
    bundle,
    spec,
    runcRoot: deps.paths.runcRoot,
    overlay: { lowers: await lowersFor(workspace), upper: workspace.upper, work: workspace.work },
    netns: request.network.kind === 'host' ? { kind: 'host' } : { kind: 'own' },
    sysctls: request.network.kind === 'host' ? {} : networkSysctls(),
    tty: false,
    openStdin: false,
    log: { driver: 'none' },
    ports: [],
    dns: false,
    images: request.mounts.flatMap((prepared) => (prepared.image ? [prepared.image] : [])),
  }
  const handle = await launchShim(launch, signal)
  try {
    const connection = await connectShim(bundle)
    await using _connection = connection
    const process = connection.attach({ whenBehind: 'hold' })
    const output = Promise.all([
      pass(process.stdout, (text) => request.onOutput('stdout', text)),
      pass(process.stderr, (text) => request.onOutput('stderr', text)),
    ])
    output.catch(() => {})
    const interfaces = bridge
      ? await deps.networks.attach({ containerId: id, pid: handle.shimPid, endpoints, ports: [] })
      : []
    await handle.start(interfaces, signal)
    const kill = () => connection.signal('SIGKILL')
    signal?.addEventListener('abort', kill, { once: true })
    if (signal?.aborted) kill()
    try {
      const exit = await process.exit
      await output
      throwIfAborted(signal)
      return exit
    } finally {
      signal?.removeEventListener('abort', kill)
    }
  } catch (error) {
    await handle.abort()
    await destroyLeftover(bundle, deps.paths.runcRoot)
    throw error
  }
}

/** An overlay needs a lower; a stage without layers has an empty one. */
async function lowersFor(workspace: Workspace): Promise<readonly string[]> {
  if (workspace.lowers.length > 0) return workspace.lowers
  const empty = `${workspace.directory}/empty`
  mkdirSync(empty, { recursive: true, mode: 0o755 })
  return [empty]
}

async function pass(stream: AsyncIterable<Uint8Array>, give: (text: string) => void): Promise<void> {
  const decoder = new StringDecoder('utf8')
  for await (const chunk of stream) {
    const text = decoder.write(Buffer.from(chunk))
    if (text !== '') give(text)
  }
  const rest = decoder.end()
  if (rest !== '') give(rest)
}

async function specOf(
  deps: RunDeps,
  workspace: Workspace,
  input: { id: string; bundle: string; request: RunRequest; addresses: readonly string[] },
) {
  const { id, bundle, request, addresses } = input
  const user = resolveUser(request.user, [], {
    passwd: readRootFile(workspace.lowers, '/etc/passwd'),
    group: readRootFile(workspace.lowers, '/etc/group'),
  })
  const isHost = request.network.kind === 'host'
  const extraHosts = await withGateway(deps, id, request)
  const hosts = isHost
    ? hostsFileOfHost(readFileSync('/etc/hosts', 'utf8'), extraHosts)
    : hostsFile({ hostname: request.hostname, domainname: '', addresses, extraHosts, links: [] })
  const resolvConf = resolvConfFile({
    hostText: readOptional('/etc/resolv.conf'),
    mode: isHost ? 'host' : 'filtered',
    servers: [],
    search: [],
    options: [],
  })
  writeFileSync(`${bundle}/hosts`, hosts, { mode: 0o644 })
  writeFileSync(`${bundle}/resolv.conf`, resolvConf, { mode: 0o644 })
  const env = [...request.env]
  if (!env.some((entry) => entry.startsWith('HOME='))) env.push(`HOME=${user.home}`)
  const spec: OciSpecInput = {
    id,
    instance: deps.paths.instance,
    rootPath: `${bundle}/rootfs`,
    args: request.args,
    env,
    cwd: request.cwd,
    user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids },
    hostname: request.hostname,
    network: isHost ? { kind: 'host' } : { kind: 'own' },
    mounts: request.mounts.map((prepared) => prepared.mount),
    files: { hosts: `${bundle}/hosts`, resolvConf: `${bundle}/resolv.conf` },
    shmSizeBytes: request.shmSizeBytes,
    ulimits: request.ulimits,
    security: request.insecure ? { privileged: true } : {},
    host: readHostFacts(),
  }
  return buildOciSpec(spec)
}

async function withGateway(deps: RunDeps, id: string, request: RunRequest): Promise<readonly string[]> {
  if (!request.extraHosts.some((entry) => entry.endsWith('host-gateway'))) return request.extraHosts
  const gateway = await deps.networks.hostGateway(request.network.kind === 'bridge' ? id : undefined)
  return request.extraHosts.map((entry) => entry.replace(/host-gateway$/, gateway))
}

function readOptional(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** Places that the runtime mounts something on, and makes if they are not there. Deepest first. */
function missingPlaces(workspace: Workspace, request: RunRequest): readonly string[] {
  const targets = [
    '/proc',
    '/dev',
    '/sys',
    '/etc/hosts',
    '/etc/resolv.conf',
    ...request.mounts.map((prepared) => posix.normalize(prepared.mount.target)),
  ]
  const missing = new Set<string>()
  for (const target of targets) {
    for (let path = target; path !== '/' && path !== '.'; path = posix.dirname(path)) {
      if (resolveRootPath(workspace.lowers, path) !== undefined) {
        // What stands behind a link below it is made where the link leads.
        const parent = resolveRootPath(workspace.lowers, path)
        if (parent !== undefined && parent !== path) {
          const rest = target.slice(path.length)
          for (let below = rest; below !== '' && below !== '/'; below = posix.dirname(below))
            missing.add(parent + below)
        }
        break
      }
      missing.add(path)
    }
  }
  return [...missing].toSorted((a, b) => b.length - a.length)
}

/** Takes away empty files and directories that are there only because something was mounted on them. */
function removeStubs(upper: string, stubs: readonly string[]): void {
  for (const stub of stubs) {
    const path = `${upper}${stub}`
    if (!insideWithoutLinks(upper, stub)) continue
    try {
      const stat = lstatSync(path)
      if (stat.isDirectory() && readdirSync(path).length === 0) rmdirSync(path)
      else if (stat.isFile() && stat.size === 0) unlinkSync(path)
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR', 'ENOTEMPTY'].includes(errnoOf(error) ?? '')) throw error
    }
  }
}

/** The upper directory is what a hostile step wrote: no link on the way may lead us elsewhere. */
function insideWithoutLinks(upper: string, path: string): boolean {
  let at = upper
  for (const part of path
    .split('/')
    .filter((each) => each !== '')
    .slice(0, -1)) {
    at += `/${part}`
    try {
      readlinkSync(at)
      return false
    } catch (error) {
      if (errnoOf(error) !== 'EINVAL') return false
    }
  }
  return true
}

/** Removes a step's bundle with everything of it. */
export function removeBundle(bundle: string): void {
  rmSync(bundle, { recursive: true, force: true })
}

/** @throws TcomposeError FAILED in BuildKit's words */
export function checkExit(args: readonly string[], exit: ShimExit): void {
  if (exit.exitCode === 0) return
  const command = args.map((arg) => (/^[\w./:=@%+-]+$/.test(arg) ? arg : arg)).join(' ')
  const why = exit.oomKilled ? ' (out of memory)' : ''
  throw new TcomposeError(
    'FAILED',
    `process ${JSON.stringify(command)} did not complete successfully: exit code: ${exit.exitCode}${why}`,
    { exitCode: exit.exitCode },
  )
}
