import { readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { errnoOf } from '../base/errors.ts'
import { isAlive, type ProcessIdentity, signalProcess } from '../platform/process.ts'
import { readPid, readShim } from './shim-files.ts'

/** How long to wait for killed processes to go, and for the kernel to let go of their cgroups. */
const PATIENCE_MS = 10_000
const PAUSE_MS = 2

/**
 * Clears what a shim that was killed left: its container's processes, cgroups and runc's state. Its mounts and
 * namespaces go with the processes. A shim that is alive is ended with its container. Leaves the bundle's files.
 */
export async function destroyLeftover(bundle: string, runcRoot: string): Promise<void> {
  const shim = readShim(bundle)
  if (shim) await end(shim)
  const id = readText(`${bundle}/id`)
  if (!id) return
  const groups = containerCgroups(readText(`${bundle}/config.json`), id)
  const first = readPid(bundle)
  const deadline = Date.now() + PATIENCE_MS
  // The first process takes its pid namespace with it; with a shared one the others are found by their cgroup.
  for (;;) {
    const left = [...new Set(groups.flatMap(processesOf))]
    for (const group of groups) thaw(group)
    if (first) signalProcess(first, 'SIGKILL')
    for (const pid of left) kill(pid)
    if ((left.length === 0 && !(first && isAlive(first))) || Date.now() > deadline) break
    await setTimeout(PAUSE_MS)
  }
  for (const group of groups) await removeGroup(group, deadline)
  rmSync(`${runcRoot}/${id}`, { recursive: true, force: true })
}

async function end(shim: ProcessIdentity): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS
  while (signalProcess(shim, 'SIGKILL') && Date.now() < deadline) await setTimeout(PAUSE_MS)
}

/** Its directories in every cgroup hierarchy that is mounted. */
function containerCgroups(config: string | undefined, id: string): readonly string[] {
  const path = cgroupsPath(config)
  // Anything else would not be the container's alone.
  if (path?.split('/').at(-1) !== id) return []
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [mount = '', rest = ''] = line.split(' - ')
      if (!/^cgroup2? /.test(rest)) return []
      return [`${mount.split(' ')[4] ?? ''}${path}`]
    })
}

function cgroupsPath(config: string | undefined): string | undefined {
  try {
    const spec = JSON.parse(config ?? '') as { linux?: { cgroupsPath?: string } }
    return spec.linux?.cgroupsPath
  } catch {
    // Its writer was killed too: then nothing ever ran.
    return undefined
  }
}

function processesOf(group: string): readonly number[] {
  return (readText(`${group}/cgroup.procs`) ?? '')
    .split('\n')
    .map(Number)
    .filter((pid) => pid > 0)
}

/** A frozen process does not die of SIGKILL in v1. */
function thaw(group: string): void {
  for (const [file, value] of [
    ['freezer.state', 'THAWED'],
    ['cgroup.freeze', '0'],
  ]) {
    try {
      writeFileSync(`${group}/${file}`, value ?? '', { flag: 'r+' })
    } catch {
      // Not this hierarchy's file, or gone.
    }
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error
  }
}

/** With the groups that the container may have made below. */
async function removeGroup(group: string, deadline: number): Promise<void> {
  for (const child of subgroups(group)) await removeGroup(`${group}/${child}`, deadline)
  for (;;) {
    try {
      rmdirSync(group)
      return
    } catch (error) {
      if (errnoOf(error) !== 'EBUSY' || Date.now() > deadline) return
    }
    await setTimeout(PAUSE_MS)
  }
}

function subgroups(group: string): readonly string[] {
  try {
    return readdirSync(group, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
  } catch {
    return []
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
