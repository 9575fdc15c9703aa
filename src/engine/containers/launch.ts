import { TcomposeError } from '../../base/errors.ts'
import { isAlive } from '../../platform/process.ts'
import { nativePath } from '../../runtime/native.ts'
import { buildOciSpec, networkSysctls } from '../../runtime/oci-spec.ts'
import { cdiNamesOf, isCdiName, resolveCdi } from '../../runtime/oci-spec-cdi.ts'
import { resolveDevices } from '../../runtime/oci-spec-devices.ts'
import { readHostFacts } from '../../runtime/oci-spec-host.ts'
import type {
  NetworkNamespaceInput,
  OciSpecInput,
  ResolvedNamespace,
  ResolvedNamespaces,
} from '../../runtime/oci-spec-input.ts'
import { readRootFile } from '../../runtime/root-reader.ts'
import type { LaunchRequest, MountRequest } from '../../runtime/shim-client.ts'
import { resolveUser } from '../../runtime/user.ts'
import type { AttachRequest } from '../networks/types.ts'
import { hostnameOf, mergeEnv, processEnv } from './config.ts'
import { bundleOf, type ContainerContext, directoryOf } from './deps.ts'
import { logRequest } from './log-options.ts'
import { planMounts } from './mount-plan.ts'
import { startMounts } from './mounts.ts'
import { writeNetworkFiles } from './network-files.ts'
import { observe } from './observe.ts'
import type { ContainerSpec } from './spec.ts'
import type { StoredContainer } from './store.ts'

/** Everything the shim needs for a container; reads its account files and writes its hosts, hostname and resolv.conf. */
export async function launchRequest(
  context: ContainerContext,
  stored: StoredContainer,
  ports: AttachRequest['ports'],
): Promise<LaunchRequest> {
  const { id, record } = stored
  const { spec, config } = record
  const bundle = bundleOf(context, id)
  const directory = directoryOf(context, id)
  const { lowers } = await (await context.images()).root(stored.imageId)
  const layers = [`${directory}/upper`, ...lowers]
  const user = resolveUser(config.user, spec.groupAdd ?? [], {
    passwd: readRootFile(layers, '/etc/passwd'),
    group: readRootFile(layers, '/etc/group'),
  })
  const planned = planMounts(spec.mounts ?? [], config.volumes, config.workingDir)
  const { mounts, images } = await startMounts(context, { id, planned, mounts: record.mounts, directory, bundle })
  const { network, host: networkHost } = networkOf(context, spec.network)
  const { namespaces, mounts: shared } = namespacesOf(context, stored, bundle)
  const hostname = networkHost?.record.config.hostname ?? hostnameOf(spec, config)
  const files = await writeNetworkFiles(context, stored, { directory, hostname, sharedWith: networkHost?.id })
  const byPath = resolveDevices((spec.devices ?? []).filter((device) => !isCdiName(device.source)))
  const cdi = resolveCdi(cdiNames(spec))
  const input: OciSpecInput = {
    id,
    instance: context.paths.instance,
    rootPath: `${bundle}/rootfs`,
    readOnlyRootfs: spec.readOnlyRootfs ?? false,
    args: record.args,
    env: mergeEnv(processEnv(config, hostname, spec.tty ?? false), cdi.env),
    cwd: config.workingDir,
    user: { uid: user.uid, gid: user.gid, additionalGids: [...user.additionalGids, ...cdi.groups] },
    tty: spec.tty ?? false,
    ...(spec.init ? { initPath: nativePath('tcompose-shim') } : {}),
    ...(namespaces.uts?.kind === 'host' ? {} : { hostname }),
    domainname: config.domainname,
    network,
    namespaces,
    mounts: [...mounts, ...cdi.mounts],
    hooks: cdi.hooks,
    files,
    shmSizeBytes: spec.shmSizeBytes,
    devices: {
      nodes: [...byPath.nodes, ...cdi.devices.nodes],
      rules: [...byPath.rules, ...cdi.devices.rules],
    },
    host: readHostFacts(),
    ...(spec.resources ? { resources: spec.resources } : {}),
    ...(spec.security ? { security: spec.security } : {}),
    ...(spec.sysctls ? { sysctls: spec.sysctls } : {}),
    ...(spec.ulimits ? { ulimits: spec.ulimits } : {}),
    ...(spec.deviceCgroupRules ? { deviceCgroupRules: spec.deviceCgroupRules } : {}),
    ...(spec.annotations ? { annotations: spec.annotations } : {}),
  }
  return {
    id,
    bundle,
    spec: buildOciSpec(input),
    runcRoot: context.paths.runcRoot,
    overlay: { lowers, upper: `${directory}/upper`, work: `${directory}/work` },
    netns: network.kind === 'own' ? { kind: 'own' } : network.kind === 'path' ? network : { kind: 'host' },
    sysctls: network.kind === 'own' ? networkSysctls(spec.sysctls) : {},
    tty: spec.tty ?? false,
    openStdin: spec.openStdin ?? false,
    log: logRequest(stored),
    ports,
    dns: spec.network.kind === 'networks',
    images,
    mounts: shared,
  }
}

/** All CDI devices a container asks for, by device name or request. @throws TcomposeError UNSUPPORTED */
export function cdiNames(spec: ContainerSpec): readonly string[] {
  const named = (spec.devices ?? []).map((device) => device.source).filter(isCdiName)
  return [...named, ...cdiNamesOf(spec.gpus ?? [])]
}

/** The other container in `container:REF`, which must run. */
function runningContainer(context: ContainerContext, ref: string, what: string): StoredContainer {
  const other = context.store.resolve(ref)
  if (!other) throw new TcomposeError('NOT_FOUND', `No such container: ${ref}`)
  const { state } = observe(other.state, bundleOf(context, other.id), context.boot)
  if (state.pid === 0 || !isAlive({ pid: state.pid, start: state.pidStart })) {
    throw new TcomposeError('CONFLICT', `cannot join ${what} of a non running container: ${other.id}`)
  }
  return { ...other, state }
}

function networkOf(
  context: ContainerContext,
  spec: StoredContainer['record']['spec']['network'],
): { readonly network: NetworkNamespaceInput; readonly host?: StoredContainer } {
  switch (spec.kind) {
    case 'host':
      return { network: { kind: 'host' } }
    case 'none':
    case 'networks':
      return { network: { kind: 'own' } }
    case 'container': {
      const other = runningContainer(context, spec.container, 'network')
      return { network: { kind: 'path', path: `/proc/${other.state.pid}/ns/net` }, host: other }
    }
  }
}

/** Modes as in Docker: ``, `private`, `shareable`, `host`, `none` (ipc), `container:REF`. */
function namespacesOf(
  context: ContainerContext,
  stored: StoredContainer,
  bundle: string,
): { readonly namespaces: ResolvedNamespaces; readonly mounts: readonly MountRequest[] } {
  const spec = stored.record.spec.namespaces ?? {}
  const sharedPid = sharedWith(context, spec.pid, 'pid')
  const sharedIpc = sharedWith(context, spec.ipc, 'ipc')
  const host = (mode: string | undefined): ResolvedNamespace | undefined =>
    mode === 'host' ? { kind: 'host' } : mode === 'private' ? { kind: 'private' } : undefined
  const path = (other: StoredContainer | undefined, kind: string): ResolvedNamespace | undefined =>
    other && { kind: 'path', path: `/proc/${other.state.pid}/ns/${kind}` }
  const pid = path(sharedPid, 'pid') ?? host(spec.pid)
  const ipc = path(sharedIpc, 'ipc') ?? host(spec.ipc)
  const uts = host(spec.uts)
  const cgroup = host(spec.cgroup)
  // A shared ipc namespace comes with the /dev/shm of whom it is shared with.
  const shared = `${bundle}/shm`
  const shm = sharedIpc ? shared : spec.ipc === 'none' ? false : spec.ipc === 'host' ? '/dev/shm' : undefined
  return {
    namespaces: {
      ...(pid ? { pid } : {}),
      ...(ipc ? { ipc } : {}),
      ...(uts ? { uts } : {}),
      ...(cgroup ? { cgroup } : {}),
      shm,
    },
    mounts: sharedIpc
      ? [{ path: shared, type: 'process', device: String(sharedIpc.state.pid), options: '/dev/shm' }]
      : [],
  }
}

/** The container named by a mode `container:REF`. @throws TcomposeError INVALID for a mode that is none */
function sharedWith(
  context: ContainerContext,
  mode: string | undefined,
  kind: 'pid' | 'ipc',
): StoredContainer | undefined {
  if (mode === undefined || ['', 'private', 'host'].includes(mode)) return undefined
  if (kind === 'ipc' && (mode === 'shareable' || mode === 'none')) return undefined
  const ref = /^container:(.+)$/.exec(mode)?.[1]
  if (ref === undefined) throw new TcomposeError('INVALID', `invalid ${kind} mode: ${mode}`)
  const other = runningContainer(context, ref, `${kind} namespace`)
  const donor = other.record.spec.namespaces?.ipc ?? ''
  if (kind === 'ipc' && donor !== 'shareable' && donor !== 'host') {
    throw new TcomposeError('CONFLICT', `cannot join IPC of container ${ref}: non-shareable IPC`, {
      hint: 'give the container whose namespace is shared the ipc mode shareable',
    })
  }
  return other
}
