import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** One compose implementation with an engine of its own, empty at the start. */
export interface BenchEngine {
  readonly name: string
  /** Runs one compose command in `cwd`; gives its duration in seconds. @throws Error with its output when it fails */
  compose(cwd: string, args: readonly string[]): number
  /** Sum of the PSS of the engine's own processes, in MiB; containers' processes are not the engine's. */
  residentMiB(): number
  stop(): void
}

const repository = join(import.meta.dirname, '../..')

function timed(program: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv): number {
  const start = process.hrtime.bigint()
  const result = spawnSync(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 30 })
  const seconds = Number(process.hrtime.bigint() - start) / 1e9
  if (result.status !== 0)
    throw new Error(`${program} ${args.join(' ')}: ${result.status}\n${result.stdout}${result.stderr}`)
  return seconds
}

function pssMiB(pids: readonly string[]): number {
  let kib = 0
  for (const pid of pids) {
    try {
      kib += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0)
    } catch {
      // It ended meanwhile.
    }
  }
  return kib / 1024
}

function pidsWhere(matches: (command: string, pid: string) => boolean): string[] {
  return readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false
    try {
      return matches(readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' '), name)
    } catch {
      return false
    }
  })
}

export function startTcompose(base: string, image: string): BenchEngine {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    TCOMPOSE_ROOT: join(base, 'tcompose'),
    TCOMPOSE_RUN: join(base, 'tcompose-run'),
    NODE_COMPILE_CACHE: undefined,
  }
  const program = join(repository, 'dist/tcompose')
  timed(program, ['image', 'import', '--change', 'CMD ["sh"]', image, 'busybox:latest'], base, env)
  const run = env.TCOMPOSE_RUN as string
  return {
    name: 'tcompose',
    compose: (cwd, args) => timed(program, args, cwd, env),
    residentMiB: () =>
      pssMiB(
        pidsWhere((command, pid) => {
          if (command.includes('tcompose-shim')) return command.includes(run)
          return / agent\b/.test(command) && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(run)
        }),
      ),
    stop: () => {},
  }
}

/** dockerd with a data root of its own, and Compose v2 on it; undefined when they are not installed. */
export function startDocker(base: string, image: string): BenchEngine | undefined {
  const compose = [
    process.env.COMPOSE_V2,
    '/usr/libexec/docker/cli-plugins/docker-compose',
    '/usr/lib/docker/cli-plugins/docker-compose',
  ].find((path) => path && existsSync(path))
  const dockerd = ['/usr/sbin/dockerd', '/usr/bin/dockerd'].find((path) => existsSync(path))
  if (!compose || !dockerd) return undefined
  const folder = join(base, 'docker')
  mkdirSync(folder)
  const host = `unix://${folder}/docker.sock`
  const log = openSync(join(folder, 'log'), 'w')
  const args = [
    '--data-root',
    `${folder}/data`,
    '--exec-root',
    `${folder}/exec`,
    '-H',
    host,
    '-p',
    `${folder}/pid`,
    '--cgroup-parent',
    `/bench-${process.pid}`,
  ]
  const daemon = spawn(dockerd, args, { stdio: ['ignore', log, log] })
  const env: NodeJS.ProcessEnv = { ...process.env, DOCKER_HOST: host, DOCKER_BUILDKIT: '0' }
  for (let tries = 0; spawnSync('docker', ['version'], { env, stdio: 'ignore' }).status !== 0; tries++) {
    if (tries > 100 || daemon.exitCode !== null)
      throw new Error(`dockerd did not start:\n${readFileSync(join(folder, 'log'), 'utf8')}`)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
  }
  timed('docker', ['import', '--change', 'CMD ["sh"]', image, 'busybox:latest'], base, env)
  const exec = `${folder}/exec`
  const isPart = (command: string, pid: string): boolean => {
    if (pid === String(daemon.pid)) return true
    if (command.startsWith('containerd') || command.includes('containerd --config')) return command.includes(exec)
    if (command.includes('containerd-shim')) return command.includes(exec)
    return command.includes('docker-proxy') && parentOf(pid) === String(daemon.pid)
  }
  return {
    name: 'Compose v2 + dockerd',
    compose: (cwd, rest) => timed(compose, rest, cwd, env),
    residentMiB: () => pssMiB(pidsWhere(isPart)),
    stop: () => void daemon.kill('SIGTERM'),
  }
}

function parentOf(pid: string): string | undefined {
  return /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
}
