import { TcomposeError } from '../../base/errors.ts'
import { buildOciSpec } from '../../runtime/oci-spec.ts'
import { cdiNamesOf, isCdiName, resolveCdi } from '../../runtime/oci-spec-cdi.ts'
import { resolveDevices } from '../../runtime/oci-spec-devices.ts'
import { readHostFacts } from '../../runtime/oci-spec-host.ts'
import { splitExtraHost } from './host-files.ts'
import { checkControls } from './kernel-controls.ts'
import { readLogSpec } from './log-options.ts'
import type { PlannedMount } from './mount-plan.ts'
import type { ContainerSpec } from './spec.ts'
import type { ContainerConfig } from './types.ts'

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/

/**
 * Refuses at create what start would refuse, and what is not done here at all, by name.
 * @throws TcomposeError INVALID, UNSUPPORTED, UNAVAILABLE or NOT_FOUND
 */
export function checkSpec(
  spec: ContainerSpec,
  config: ContainerConfig,
  mounts: readonly PlannedMount[],
  instance: string,
): void {
  if (!NAME.test(spec.name)) {
    throw new TcomposeError(
      'INVALID',
      `Invalid container name (${spec.name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    )
  }
  if (spec.runtime && spec.runtime !== 'runc' && spec.runtime !== 'io.containerd.runc.v2') {
    throw new TcomposeError('UNSUPPORTED', `unknown or invalid runtime name: ${spec.runtime}`)
  }
  if (spec.storageOpt && Object.keys(spec.storageOpt).length > 0) {
    throw new TcomposeError('UNSUPPORTED', `storage option ${Object.keys(spec.storageOpt)[0]} is not supported`, {
      hint: 'overlay on this file system has no quotas',
    })
  }
  const user = spec.namespaces?.user
  if (user && user !== 'host') throw new TcomposeError('UNSUPPORTED', `user namespace mode ${user} is not supported`)
  checkNetwork(spec)
  for (const entry of spec.extraHosts ?? []) {
    const { name, address } = splitExtraHost(entry)
    if (name === '' || address === '') throw new TcomposeError('INVALID', `bad format for add-host: "${entry}"`)
  }
  for (const mount of mounts) {
    if (mount.kind === 'bind' && (mount.propagation === 'shared' || mount.propagation === 'rshared')) {
      throw new TcomposeError(
        'UNSUPPORTED',
        `mount propagation ${mount.propagation} of ${mount.target} is not supported`,
        {
          hint: 'a container is mounted in a namespace of its own, from which nothing reaches the host; use rslave',
        },
      )
    }
  }
  if (spec.autoRemove && spec.restart && spec.restart.name !== 'no') {
    throw new TcomposeError('INVALID', "can't create 'AutoRemove' container with restart policy")
  }
  const named = (spec.devices ?? []).map((device) => device.source).filter(isCdiName)
  resolveCdi([...named, ...cdiNamesOf(spec.gpus ?? [])])
  readLogSpec(spec.log)
  checkControls(spec.resources ?? {}, readHostFacts().cgroupVersion)
  dryRun(spec, config, mounts, instance)
}

function checkNetwork(spec: ContainerSpec): void {
  const { network } = spec
  const ports = spec.ports ?? []
  if (network.kind === 'container') {
    if (ports.length > 0) {
      throw new TcomposeError('INVALID', 'conflicting options: port publishing and the container type network mode')
    }
    if (spec.hostname) {
      throw new TcomposeError('INVALID', 'conflicting options: hostname and the network mode')
    }
    if ((spec.extraHosts ?? []).length > 0) {
      throw new TcomposeError('INVALID', 'conflicting options: custom host-to-IP mapping and the network mode')
    }
    if ((spec.dns?.servers ?? []).length > 0) {
      throw new TcomposeError('INVALID', 'conflicting options: dns and the network mode')
    }
  }
  if (spec.namespaces?.uts === 'host' && spec.hostname) {
    throw new TcomposeError('INVALID', 'conflicting options: hostname and the UTS mode')
  }
  if (network.kind === 'networks' && network.endpoints.length === 0) {
    throw new TcomposeError('INVALID', `container ${spec.name} is on no network`, { hint: 'say network mode none' })
  }
}

/** Everything that the spec's generator would refuse at start. */
function dryRun(spec: ContainerSpec, config: ContainerConfig, mounts: readonly PlannedMount[], instance: string): void {
  buildOciSpec({
    id: 'check',
    instance,
    rootPath: '/',
    args: config.command,
    env: [],
    cwd: config.workingDir,
    user: { uid: 0, gid: 0 },
    network: spec.network.kind === 'host' ? { kind: 'host' } : { kind: 'own' },
    mounts: mounts.filter((mount) => mount.kind === 'tmpfs'),
    host: readHostFacts(),
    devices: resolveDevices((spec.devices ?? []).filter((device) => !isCdiName(device.source))),
    ...(spec.resources ? { resources: spec.resources } : {}),
    ...(spec.security ? { security: spec.security } : {}),
    ...(spec.sysctls ? { sysctls: spec.sysctls } : {}),
    ...(spec.ulimits ? { ulimits: spec.ulimits } : {}),
    ...(spec.deviceCgroupRules ? { deviceCgroupRules: spec.deviceCgroupRules } : {}),
  })
}
