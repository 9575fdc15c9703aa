import { readdirSync, readFileSync } from 'node:fs'

/** The cgroups of one process: `''` is that of the unified hierarchy, `name=systemd` and the like come as they are. */
export interface ProcessCgroups {
  /** Directory of a controller's cgroup; undefined where the kernel or the mode of the host has none. */
  directory(controller: string): string | undefined
  /** Whether that controller is counted by the unified hierarchy (v2 files) rather than by one of its own (v1 files). */
  isUnified(controller: string): boolean
}

interface Mount {
  readonly mountPoint: string
  /** Cgroup that is shown at the mount point; not `/` inside of another container. */
  readonly root: string
  readonly unified: boolean
  readonly controllers: readonly string[]
}

/** Reads where the cgroups of `pid` are: v1, hybrid and v2, wherever they are mounted. Undefined when it has gone. */
export function cgroupsOf(pid: number): ProcessCgroups | undefined {
  const text = readIfThere(`/proc/${pid}/cgroup`)
  if (text === undefined) return undefined
  const mounts = cgroupMounts()
  const directories = new Map<string, string>()
  for (const line of text.split('\n')) {
    const match = /^\d+:([^:]*):(.*)$/.exec(line)
    if (!match) continue
    const [, names = '', path = ''] = match
    for (const name of names.split(',')) {
      const mount = mounts.find((one) => (name === '' ? one.unified : one.controllers.includes(name)))
      if (mount) directories.set(name, below(mount, path))
    }
  }
  const unified = directories.get('')
  return {
    directory: (controller) => directories.get(controller) ?? unified,
    isUnified: (controller) => controller === '' || !directories.has(controller),
  }
}

/** Pids of a cgroup and all below it. */
export function cgroupPids(directory: string): number[] {
  const own = readIfThere(`${directory}/cgroup.procs`) ?? ''
  const pids = own.split('\n').filter(Boolean).map(Number)
  let entries: string[] = []
  try {
    entries = readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
  } catch {
    // It has been removed meanwhile.
  }
  return [...pids, ...entries.flatMap((name) => cgroupPids(`${directory}/${name}`))]
}

export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function cgroupMounts(): Mount[] {
  return (readIfThere('/proc/self/mountinfo') ?? '').split('\n').flatMap((line) => {
    const [left = '', right] = line.split(' - ')
    const [type, , options = ''] = right?.split(' ') ?? []
    if (type !== 'cgroup' && type !== 'cgroup2') return []
    const fields = left.split(' ')
    return [
      {
        root: unquoteOctal(fields[3] ?? '/'),
        mountPoint: unquoteOctal(fields[4] ?? ''),
        unified: type === 'cgroup2',
        controllers: options.split(','),
      },
    ]
  })
}

function below(mount: Mount, path: string): string {
  const inside = mount.root !== '/' && path.startsWith(mount.root) ? path.slice(mount.root.length) : path
  return `${mount.mountPoint}${inside === '/' ? '' : inside}`
}

/** mountinfo writes spaces and the like as `\040`. */
function unquoteOctal(text: string): string {
  return text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}
