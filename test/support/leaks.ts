import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import type { EnginePaths } from '../../src/engine/state/paths.ts'

/** What of one state root is still in the kernel or runs: empty after everything has been taken down. */
export function findLeaks(paths: EnginePaths, bridges: readonly string[]): string[] {
  return [
    ...mounts(paths).map((mount) => `mount ${mount}`),
    ...processes(paths).map((process) => `process ${process}`),
    ...tables(paths).map((table) => `nft table ${table}`),
    ...links(bridges).map((link) => `link ${link}`),
    ...cgroups(paths).map((cgroup) => `cgroup ${cgroup}`),
    ...bundles(paths).map((bundle) => `bundle ${bundle}`),
  ]
}

function mounts(paths: EnginePaths): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(paths.root) || line.includes(paths.run))
}

/** Processes of ours: their arguments name the root or run directory, or their root directory lies in it. */
export function processes(paths: EnginePaths): string[] {
  const found: string[] = []
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
      const state = /^State:\s+(\S)/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1]
      if (state === 'Z' || state === 'X') continue
      const inside = command.includes(paths.root) || command.includes(paths.run) || isOurContainer(name, paths)
      const agent =
        / agent\b/.test(command) &&
        readFileSync(`/proc/${name}/environ`, 'utf8').includes(`TCOMPOSE_ROOT=${paths.root}\0`)
      if (inside || agent) found.push(`${name} ${command}`)
    } catch {
      // It ended meanwhile.
    }
  }
  return found
}

function isOurContainer(pid: string, paths: EnginePaths): boolean {
  if (!readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`/${paths.instance}/`)) return false
  return readlinkSync(`/proc/${pid}/ns/mnt`) !== readlinkSync('/proc/self/ns/mnt')
}

function tables(paths: EnginePaths): string[] {
  return execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' })
    .split('\n')
    .filter(
      (line) =>
        line.split(' ').includes(paths.instance) || line.split(' ').includes(paths.instance.replaceAll('-', '_')),
    )
}

function links(bridges: readonly string[]): string[] {
  const now = new Set(readdirSync('/sys/class/net'))
  return bridges.filter((bridge) => now.has(bridge))
}

function cgroups(paths: EnginePaths): string[] {
  const base = '/sys/fs/cgroup'
  return ['.', ...readdirSync(base)]
    .map((controller) => `${base}/${controller}/${paths.instance}`)
    .filter((path) => existsSync(path) && hasChildren(path))
}

/** The parent group of an instance may stay; groups of containers may not. */
function hasChildren(path: string): boolean {
  return readdirSync(path, { withFileTypes: true }).some((entry) => entry.isDirectory())
}

function bundles(paths: EnginePaths): string[] {
  return existsSync(paths.bundles) ? readdirSync(paths.bundles) : []
}
