import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { buildOciSpec, networkSysctls } from '../../../src/runtime/oci-spec.ts'
import { resolveDevices } from '../../../src/runtime/oci-spec-devices.ts'
import { readHostFacts } from '../../../src/runtime/oci-spec-host.ts'
import type { OciSpecInput } from '../../../src/runtime/oci-spec-input.ts'
import type { OciProcess, OciSpec } from '../../../src/runtime/oci-spec-types.ts'
import {
  connectShim,
  type LaunchRequest,
  launchShim,
  type ShimConnection,
  type ShimExit,
  type ShimInterface,
  type ShimProcess,
} from '../../../src/runtime/shim-client.ts'
import { destroyLeftover } from '../../../src/runtime/shim-leftover.ts'
import { rootTarball } from '../../support/images.ts'

export interface Wish {
  readonly args: readonly string[]
  readonly input?: Partial<OciSpecInput>
  readonly request?: Partial<LaunchRequest>
  readonly spec?: (spec: OciSpec) => OciSpec
  readonly tty?: boolean
  readonly openStdin?: boolean
  readonly interfaces?: readonly ShimInterface[]
  /** Another build of the shim. */
  readonly program?: string
  /** Called between READY and START. */
  readonly between?: (bundle: string, shimPid: number, process: ShimProcess) => Promise<void>
}

export interface Running {
  readonly id: string
  readonly bundle: string
  readonly log: string
  readonly spec: OciSpec
  readonly pid: number
  readonly shimPid: number
  readonly connection: ShimConnection
  /** Attached since before the start. */
  readonly process: ShimProcess
}

/** A place for containers of one test file: a busybox root, a cgroup parent and a runc root of its own. */
export class Place implements AsyncDisposable {
  readonly root = mkdtempSync(`${tmpdir()}/tct-shim-`)
  readonly instance = `tct-shim-${randomBytes(6).toString('hex')}`
  readonly runcRoot = `${this.root}/runc`
  readonly lower = `${this.root}/lower`
  readonly bundles: string[] = []
  readonly #connections: ShimConnection[] = []

  constructor() {
    mkdirSync(this.lower)
    execFileSync('tar', ['-xf', rootTarball('busybox'), '-C', this.lower])
  }

  prepare(wish: Wish): LaunchRequest {
    const id = randomBytes(32).toString('hex')
    const bundle = `${this.root}/c/${id.slice(0, 32)}`
    mkdirSync(bundle, { recursive: true })
    mkdirSync(`${this.root}/d/${id}`, { recursive: true })
    this.bundles.push(bundle)
    const spec = buildOciSpec({
      id,
      instance: this.instance,
      rootPath: `${bundle}/rootfs`,
      readOnlyRootfs: false,
      args: wish.args,
      env: ['PATH=/bin:/usr/bin:/sbin:/usr/sbin', 'HOME=/root', 'A=1'],
      cwd: '/',
      user: { uid: 0, gid: 0, additionalGids: [0] },
      tty: wish.tty ?? false,
      hostname: 'test',
      network: { kind: 'own' },
      mounts: [],
      files: [],
      devices: resolveDevices([]),
      host: readHostFacts(),
      ...wish.input,
    } as OciSpecInput)
    return {
      id,
      bundle,
      spec: wish.spec?.(spec) ?? spec,
      runcRoot: this.runcRoot,
      overlay: { lowers: [this.lower], upper: `${this.root}/d/${id}/upper`, work: `${this.root}/d/${id}/work` },
      netns: { kind: 'own' },
      sysctls: networkSysctls(),
      tty: wish.tty ?? false,
      openStdin: wish.openStdin ?? false,
      log: {
        driver: 'json-file',
        path: `${this.root}/d/${id}/log`,
        maxSizeBytes: 0,
        maxFiles: 1,
        compress: false,
      },
      ports: [],
      dns: false,
      ...wish.request,
    }
  }

  async run(wish: Wish): Promise<Running> {
    const request = this.prepare(wish)
    const handle = await launchShim(request, undefined, wish.program)
    try {
      const connection = await connectShim(request.bundle)
      this.#connections.push(connection)
      const process = connection.attach({ whenBehind: 'hold' })
      await wish.between?.(request.bundle, handle.shimPid, process)
      const { pid } = await handle.start(wish.interfaces ?? [])
      const log = request.log.driver === 'json-file' ? request.log.path : ''
      const { id, bundle, spec } = request
      return { id, bundle, log, spec, pid, shimPid: handle.shimPid, connection, process }
    } catch (error) {
      await handle.abort()
      throw error
    }
  }

  /** Ends whatever still runs, takes everything away, and says what could not be. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) connection.close()
    for (const bundle of this.bundles) await destroyLeftover(bundle, this.runcRoot)
    rmSync(this.root, { recursive: true, force: true })
    const left = this.cgroups().flatMap((path) =>
      readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory()),
    )
    for (const path of this.cgroups()) rmdirSync(path)
    if (left.length > 0) throw new Error(`cgroups are left: ${left.map(({ name }) => name).join(' ')}`)
  }

  cgroups(): string[] {
    return ['.', ...readdirSync('/sys/fs/cgroup')]
      .map((controller) => `/sys/fs/cgroup/${controller}/${this.instance}`)
      .filter((path) => existsSync(path))
  }
}

export interface Outcome extends ShimExit {
  readonly stdout: string
  readonly stderr: string
}

/** Everything a process writes, and how it ended. */
export async function outcome(process: ShimProcess): Promise<Outcome> {
  const [stdout, stderr] = await Promise.all([collect(process.stdout), collect(process.stderr)])
  return { ...(await process.exit), stdout, stderr }
}

async function collect(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

export async function execute(
  container: Running,
  change: Partial<OciProcess>,
  options: { readonly stdin?: string; readonly via?: 'runc' } = {},
): Promise<Outcome> {
  const process = await container.connection.exec({
    process: { ...container.spec.process, terminal: false, ...change },
    stdin: options.stdin !== undefined,
    ...(options.via ? { via: options.via } : {}),
  })
  if (options.stdin !== undefined) process.stdin.end(options.stdin)
  return await outcome(process)
}

export function logLines(
  path: string,
): { log: string; stream: string; time: string; attrs?: Record<string, string> }[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { log: string; stream: string; time: string })
}
