import { readdirSync, readFileSync, statSync } from 'node:fs'
import { TcomposeError } from '../base/errors.ts'
import type { DeviceRequest, ResolvedDevices, SpecMount } from './oci-spec-input.ts'
import { deviceNumbers } from './oci-spec-resources.ts'
import type { OciDevice, OciDeviceRule, OciHook, OciHooks } from './oci-spec-types.ts'

/** Where vendors put their descriptions; the second wins. */
const DIRECTORIES: readonly string[] = ['/etc/cdi', '/var/run/cdi']

const NAME = /^([a-zA-Z][\w.-]*\/[a-zA-Z][\w.-]*)=([\w][\w.:-]*)$/

/** What devices of the Container Device Interface (CNCF CDI 0.8) add to a container. */
export interface CdiEdits {
  readonly env: readonly string[]
  readonly devices: ResolvedDevices
  readonly mounts: readonly SpecMount[]
  readonly hooks: OciHooks
  readonly groups: readonly number[]
}

interface Edits {
  readonly env?: readonly string[]
  readonly deviceNodes?: readonly {
    readonly path: string
    readonly hostPath?: string
    readonly type?: string
    readonly major?: number
    readonly minor?: number
    readonly fileMode?: number
    readonly permissions?: string
    readonly uid?: number
    readonly gid?: number
  }[]
  readonly mounts?: readonly {
    readonly hostPath: string
    readonly containerPath: string
    readonly options?: readonly string[]
  }[]
  readonly hooks?: readonly {
    readonly hookName: string
    readonly path: string
    readonly args?: readonly string[]
    readonly env?: readonly string[]
    readonly timeout?: number
  }[]
  readonly additionalGids?: readonly number[]
}

interface CdiSpec {
  readonly kind: string
  readonly devices?: readonly { readonly name: string; readonly containerEdits?: Edits }[]
  readonly containerEdits?: Edits
}

/** Whether a device is named in CDI's way, `vendor.com/class=name`, and not by a path. */
export function isCdiName(text: string): boolean {
  return NAME.test(text)
}

/**
 * The CDI names that device requests stand for: GPUs are NVIDIA's, `all`, by count or by id.
 * @throws TcomposeError UNSUPPORTED for a driver or capability that no CDI name stands for
 */
export function cdiNamesOf(requests: readonly DeviceRequest[]): readonly string[] {
  return requests.flatMap((request) => {
    const { driver = '', count = 0, deviceIds = [], capabilities = [] } = request
    if (driver === 'cdi') return deviceIds
    const wanted = capabilities.flat()
    if ((driver !== '' && driver !== 'nvidia') || (driver === '' && !wanted.includes('gpu'))) {
      throw new TcomposeError(
        'UNSUPPORTED',
        `could not select device driver ${JSON.stringify(driver)} with capabilities: ${JSON.stringify(capabilities)}`,
        { hint: 'devices that are described by CDI files below /etc/cdi can be given with driver: cdi' },
      )
    }
    if (deviceIds.length > 0) return deviceIds.map((id) => `nvidia.com/gpu=${id}`)
    if (count < 0) return ['nvidia.com/gpu=all']
    return Array.from({ length: count || 1 }, (_, index) => `nvidia.com/gpu=${index}`)
  })
}

/** @throws TcomposeError UNSUPPORTED naming a device that no CDI file describes */
export function resolveCdi(names: readonly string[], directories: readonly string[] = DIRECTORIES): CdiEdits {
  if (names.length === 0) return { env: [], devices: { nodes: [], rules: [] }, mounts: [], hooks: {}, groups: [] }
  const specs = directories.flatMap(readSpecs)
  const used = new Set<CdiSpec>()
  const edits: Edits[] = []
  for (const name of names) {
    const [, kind, device] = NAME.exec(name) ?? []
    const spec = specs.findLast((each) => each.kind === kind && each.devices?.some((entry) => entry.name === device))
    const found = spec?.devices?.find((entry) => entry.name === device)
    if (!spec || !found) {
      throw new TcomposeError('UNSUPPORTED', `CDI device injection failed: unresolvable CDI device ${name}`, {
        hint: `describe it in a JSON file below ${directories[0]}, for NVIDIA by: nvidia-ctk cdi generate --format=json --output=/etc/cdi/nvidia.json`,
      })
    }
    if (!used.has(spec) && spec.containerEdits) edits.push(spec.containerEdits)
    used.add(spec)
    if (found.containerEdits) edits.push(found.containerEdits)
  }
  return merge(edits)
}

function readSpecs(directory: string): readonly CdiSpec[] {
  let names: readonly string[]
  try {
    names = readdirSync(directory)
  } catch {
    return []
  }
  return names
    .filter((name) => name.endsWith('.json'))
    .toSorted()
    .map((name) => {
      try {
        return JSON.parse(readFileSync(`${directory}/${name}`, 'utf8')) as CdiSpec
      } catch (cause) {
        throw new TcomposeError('INVALID', `${directory}/${name} is no CDI file`, { cause })
      }
    })
}

function merge(edits: readonly Edits[]): CdiEdits {
  const nodes: OciDevice[] = []
  const rules: OciDeviceRule[] = []
  for (const given of edits.flatMap((edit) => edit.deviceNodes ?? [])) {
    const node = nodeOf(given)
    nodes.push(node)
    if (node.type === 'p' || node.type === 'u') continue
    const { type, major = 0, minor = 0 } = node
    rules.push({ allow: true, type, major, minor, access: given.permissions ?? 'rwm' })
  }
  const hooks: Record<string, OciHook[]> = {}
  for (const { hookName, path, args, env, timeout } of edits.flatMap((edit) => edit.hooks ?? [])) {
    hooks[hookName] ??= []
    hooks[hookName].push({
      path,
      ...(args ? { args } : {}),
      ...(env ? { env } : {}),
      ...(timeout === undefined ? {} : { timeout }),
    })
  }
  return {
    env: edits.flatMap((edit) => edit.env ?? []),
    devices: { nodes, rules },
    mounts: edits.flatMap((edit) =>
      (edit.mounts ?? []).map((mount) => ({
        kind: 'bind' as const,
        source: mount.hostPath,
        target: mount.containerPath,
        options: mount.options ?? ['ro', 'nosuid', 'nodev', 'bind'],
      })),
    ),
    hooks,
    groups: [...new Set(edits.flatMap((edit) => edit.additionalGids ?? []))],
  }
}

function nodeOf(given: NonNullable<Edits['deviceNodes']>[number]): OciDevice {
  const known = given.type !== undefined && given.major !== undefined && given.minor !== undefined
  const host = known ? undefined : statDevice(given.hostPath ?? given.path)
  return {
    path: given.path,
    type: (given.type ?? host?.type ?? 'c') as OciDevice['type'],
    major: given.major ?? host?.major ?? 0,
    minor: given.minor ?? host?.minor ?? 0,
    ...(given.fileMode === undefined ? {} : { fileMode: given.fileMode }),
    ...(given.uid === undefined ? {} : { uid: given.uid }),
    ...(given.gid === undefined ? {} : { gid: given.gid }),
  }
}

function statDevice(path: string): { readonly type: 'b' | 'c'; readonly major: number; readonly minor: number } {
  try {
    const stats = statSync(path)
    return { type: stats.isBlockDevice() ? 'b' : 'c', ...deviceNumbers(stats.rdev) }
  } catch (cause) {
    throw new TcomposeError('UNAVAILABLE', `device ${path} of a CDI file is not there`, { cause })
  }
}
