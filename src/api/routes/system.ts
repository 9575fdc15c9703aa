import { readFileSync } from 'node:fs'
import { arch, cpus, hostname, version as kernelVersion, release, totalmem } from 'node:os'
import { isTcomposeError, TcomposeError } from '../../base/errors.ts'
import type { Engine } from '../../engine/engine.ts'
import { registrySettings } from '../../engine/registry/endpoints.ts'
import { checkLogin } from '../../engine/registry/login.ts'
import { badRequest, errorBody } from '../http-error.ts'
import { API_VERSION, MIN_API_VERSION, type Routes } from '../router.ts'
import { isRunning } from '../wire/container.ts'
import { hostFacts } from '../wire/host-facts.ts'
import { text } from '../wire/read.ts'
import { readAuthEntry, registryHost } from '../wire/registry-auth.ts'

/** What is known of the daemon itself. */
export function systemRoutes(
  engine: Engine,
  { version, env = process.env }: { readonly version: string; readonly env?: NodeJS.ProcessEnv },
): Routes {
  return {
    'GET /_ping': async (request, response) => {
      response.header('Builder-Version', '1')
      response.header('Swarm', 'inactive')
      response.header('Cache-Control', 'no-cache, no-store, must-revalidate')
      response.header('Pragma', 'no-cache')
      response.raw.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': 2 })
      response.raw.end(request.method === 'HEAD' ? undefined : 'OK')
    },
    'GET /version': async (_, response) => {
      const details = {
        ApiVersion: API_VERSION,
        Arch: goArch(),
        Experimental: 'false',
        GitCommit: '',
        GoVersion: '',
        KernelVersion: release(),
        MinAPIVersion: MIN_API_VERSION,
        Os: 'linux',
      }
      response.json(200, {
        Platform: { Name: 'tcompose' },
        Components: [{ Name: 'Engine', Version: version, Details: details }],
        Version: version,
        ApiVersion: API_VERSION,
        MinAPIVersion: MIN_API_VERSION,
        GitCommit: '',
        GoVersion: '',
        Os: 'linux',
        Arch: goArch(),
        KernelVersion: release(),
      })
    },
    'GET /info': async (_, response) => response.json(200, await info(engine, version, env)),
    'POST /auth': async (request, response) => {
      const body = await request.json()
      const credentials = readAuthEntry(body)
      if (!credentials) throw badRequest('unauthorized: a user name and a password are required')
      if (credentials.identityToken !== undefined) {
        throw new TcomposeError('UNSUPPORTED', 'login by identity token is not supported', {
          hint: 'give a user name and a password',
        })
      }
      const server = registryHost(text(body, 'serveraddress') ?? '')
      try {
        await checkLogin({ ...credentials, env, server, signal: request.signal })
      } catch (error) {
        // To a refusal of the registry clients answer by asking again, which they do for this status alone.
        if (!isTcomposeError(error, 'DENIED')) throw error
        return response.json(401, errorBody(error))
      }
      response.json(200, { Status: 'Login Succeeded', IdentityToken: '' })
    },
    ...swarmRoutes(),
  }
}

async function info(engine: Engine, version: string, env: NodeJS.ProcessEnv): Promise<object> {
  const [containers, images] = await Promise.all([engine.containers.list(), engine.images.list()])
  const paused = containers.filter(({ state }) => state.status === 'paused').length
  const running = containers.filter(isRunning).length - paused
  return {
    ID: engine.paths.instance,
    Containers: containers.length,
    ContainersRunning: running,
    ContainersPaused: paused,
    ContainersStopped: containers.length - running - paused,
    Images: images.length,
    Driver: 'overlay2',
    DriverStatus: [['Backing Filesystem', 'overlay']],
    Plugins: {
      Volume: ['local'],
      Network: ['bridge', 'host', 'ipvlan', 'macvlan', 'null'],
      Authorization: null,
      Log: ['json-file', 'local', 'none'],
    },
    ...hostFacts(),
    Debug: false,
    NFd: 0,
    OomKillDisable: false,
    NGoroutines: 0,
    SystemTime: new Date().toISOString(),
    LoggingDriver: 'json-file',
    CgroupDriver: 'cgroupfs',
    NEventsListener: 0,
    KernelVersion: release(),
    OperatingSystem: /^PRETTY_NAME="?([^"\n]*)/m.exec(readText('/etc/os-release'))?.[1] ?? kernelVersion(),
    OSVersion: /^VERSION_ID="?([^"\n]*)/m.exec(readText('/etc/os-release'))?.[1] ?? '',
    OSType: 'linux',
    Architecture: arch() === 'x64' ? 'x86_64' : arch() === 'arm64' ? 'aarch64' : arch(),
    IndexServerAddress: 'https://index.docker.io/v1/',
    RegistryConfig: registryConfig(env),
    NCPU: cpus().length,
    MemTotal: totalmem(),
    GenericResources: null,
    DockerRootDir: engine.paths.root,
    HttpProxy: '',
    HttpsProxy: '',
    NoProxy: '',
    Name: hostname(),
    Labels: [],
    ExperimentalBuild: false,
    ServerVersion: version,
    Runtimes: { runc: { path: 'runc' } },
    DefaultRuntime: 'runc',
    Swarm: {
      NodeID: '',
      NodeAddr: '',
      LocalNodeState: 'inactive',
      ControlAvailable: false,
      Error: '',
      RemoteManagers: null,
    },
    LiveRestoreEnabled: true,
    Isolation: '',
    InitBinary: 'docker-init',
    ContainerdCommit: { ID: '', Expected: '' },
    RuncCommit: { ID: '', Expected: '' },
    InitCommit: { ID: '', Expected: '' },
    Warnings: null,
  }
}

/** Networks, and hosts by name, that may be reached unencrypted; this machine always. */
function registryConfig(env: NodeJS.ProcessEnv): object {
  const { insecure, mirrors } = registrySettings(env)
  const hosts = insecure.filter((one) => !one.includes('/'))
  return {
    InsecureRegistryCIDRs: ['127.0.0.0/8', '::1/128', ...insecure.filter((one) => one.includes('/'))],
    IndexConfigs: {
      'docker.io': { Name: 'docker.io', Mirrors: mirrors, Secure: true, Official: true },
      ...Object.fromEntries(hosts.map((Name) => [Name, { Name, Mirrors: [], Secure: false, Official: false }])),
    },
    Mirrors: mirrors,
  }
}

const NO_SWARM =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.'

/** As a node that is part of no swarm answers. */
function swarmRoutes(): Routes {
  const lists = ['services', 'nodes', 'tasks', 'secrets', 'configs', 'swarm']
  const refusals = lists.flatMap((name) =>
    ['GET', 'POST', 'DELETE'].flatMap((method) =>
      [`/${name}`, `/${name}/{rest*}`].map(
        (path) =>
          [
            `${method} ${path}`,
            async (_: unknown, response: { json(status: number, body: unknown): void }) =>
              response.json(503, { message: NO_SWARM }),
          ] as const,
      ),
    ),
  )
  return {
    ...Object.fromEntries(refusals),
    'GET /plugins': async (_, response) => response.json(200, []),
  }
}

function goArch(): string {
  return arch() === 'x64' ? 'amd64' : arch()
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
