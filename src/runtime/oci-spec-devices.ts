import { type Dirent, lstatSync, readdirSync, realpathSync, type Stats, statSync } from 'node:fs'
import { errnoOf, TcomposeError } from '../base/errors.ts'
import type { DeviceSpec, ResolvedDevices } from './oci-spec-input.ts'
import { deviceNumbers } from './oci-spec-resources.ts'
import type { OciDevice, OciDeviceRule } from './oci-spec-types.ts'

/** Not the host's to show: made anew for each container. */
const SKIPPED = new Set(['pts', 'shm', 'fd', 'mqueue', '.lxc', '.lxd-mounts', '.udev', 'console'])

/** Every device node below `root`; what vanishes or cannot be read meanwhile is left out. */
export function listDevices(root: string): readonly OciDevice[] {
  const found: OciDevice[] = []
  const walk = (directory: string, top: boolean): void => {
    let entries: Dirent[]
    try {
      entries = readdirSync(directory, { withFileTypes: true })
    } catch {
      return
    }
    for (const entry of entries) {
      if (top && SKIPPED.has(entry.name)) continue
      const path = `${directory}/${entry.name}`
      if (entry.isDirectory()) walk(path, false)
      else if (entry.isCharacterDevice() || entry.isBlockDevice()) {
        try {
          found.push(nodeOf(lstatSync(path), path))
        } catch {
          // Gone since the directory was read.
        }
      }
    }
  }
  walk(root, true)
  return found
}

/**
 * Looks up the devices a container asks for; a directory stands for every device below it, a link for its target.
 * @throws TcomposeError INVALID for permissions, NOT_FOUND for a path that is no device
 */
export function resolveDevices(devices: readonly DeviceSpec[]): ResolvedDevices {
  const nodes: OciDevice[] = []
  const rules: OciDeviceRule[] = []
  for (const device of devices) {
    const access = device.permissions || 'rwm'
    if (!/^[rwm]{1,3}$/.test(access)) throw new TcomposeError('INVALID', `invalid device mode: ${access}`)
    const target = device.target || device.source
    for (const node of below(device.source, target)) {
      nodes.push(node)
      rules.push({
        allow: true,
        type: node.type === 'b' ? 'b' : 'c',
        major: node.major ?? 0,
        minor: node.minor ?? 0,
        access,
      })
    }
  }
  return { nodes, rules }
}

function below(source: string, target: string): readonly OciDevice[] {
  let real: string
  let stats: Stats
  try {
    real = realpathSync(source)
    stats = statSync(real)
  } catch (cause) {
    if (errnoOf(cause) !== 'ENOENT') throw cause
    throw new TcomposeError(
      'NOT_FOUND',
      `error gathering device information while adding custom device "${source}": no such file or directory`,
      {
        cause,
      },
    )
  }
  if (stats.isCharacterDevice() || stats.isBlockDevice()) return [nodeOf(stats, target)]
  const nodes = stats.isDirectory() ? listDevices(real) : []
  if (nodes.length === 0) {
    throw new TcomposeError(
      'INVALID',
      `error gathering device information while adding custom device "${source}": not a device node`,
    )
  }
  return nodes.map((node) => ({ ...node, path: `${target.replace(/\/+$/, '')}${node.path.slice(real.length)}` }))
}

function nodeOf(stats: Stats, path: string): OciDevice {
  return {
    path,
    type: stats.isBlockDevice() ? 'b' : 'c',
    ...deviceNumbers(stats.rdev),
    fileMode: stats.mode & 0o777,
    uid: stats.uid,
    gid: stats.gid,
  }
}
