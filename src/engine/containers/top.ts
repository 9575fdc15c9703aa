import { readdirSync } from 'node:fs'
import { TcomposeError } from '../../base/errors.ts'
import { run } from '../../platform/exec.ts'
import { cgroupPids, cgroupsOf, readIfThere } from './stats-cgroup.ts'
import { listProcesses } from './top-proc.ts'
import type { Container } from './types.ts'

export interface TopTable {
  readonly titles: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/**
 * The processes of a running container as ps(1) shows them, with the host's pids. Without arguments (or `-ef`) the
 * columns are read from /proc; for any others the host's ps is asked and its lines sorted out by pid, as Docker does.
 * @throws TcomposeError CONFLICT when it does not run; INVALID for arguments without a PID column; UNAVAILABLE without ps
 */
export async function readTop(
  container: Pick<Container, 'id' | 'state'>,
  psArgs: readonly string[] = [],
): Promise<TopTable> {
  const pids = containerPids(container)
  if (psArgs.length === 0 || (psArgs.length === 1 && psArgs[0] === '-ef')) return listProcesses(pids)
  const { stdout } = await run('ps', psArgs, { env: { PATH: process.env.PATH ?? '', LC_ALL: 'C', COLUMNS: '10000' } })
  return selectPids(stdout, new Set(pids))
}

/** Host pids of a running container, its first process first. */
export function containerPids(container: Pick<Container, 'id' | 'state'>): readonly number[] {
  const { pid, status } = container.state
  const cgroups = pid > 0 ? cgroupsOf(pid) : undefined
  if (!cgroups || (status !== 'running' && status !== 'paused')) {
    throw new TcomposeError('CONFLICT', `container ${container.id} is not running`)
  }
  const directory = ['pids', 'memory', 'cpu', 'name=systemd', '']
    .map((controller) => cgroups.directory(controller))
    .find((path) => path?.includes(container.id.slice(0, 12)))
  // Without a cgroup of its own (a host that gives none) its family has to do.
  const found = directory === undefined ? family(pid) : cgroupPids(directory)
  return [pid, ...found.filter((other) => other !== pid).toSorted((a, b) => a - b)]
}

/** Lines of a ps whose PID is one of `pids`; the last column takes what is left of the line. */
export function selectPids(output: string, pids: ReadonlySet<number>): TopTable {
  const [head = '', ...lines] = output.split('\n')
  const titles = head.trim().split(/\s+/)
  const place = titles.indexOf('PID')
  if (place === -1) throw new TcomposeError('INVALID', "Couldn't find PID field in ps output")
  const rows = lines
    .map((line) => splitFields(line, titles.length))
    .filter((fields) => fields.length > place && pids.has(Number(fields[place])))
  return { titles, rows }
}

function splitFields(line: string, count: number): string[] {
  const fields = line.trim().split(/\s+/)
  if (fields.length <= count) return fields
  const rest = new RegExp(`^\\s*(?:\\S+\\s+){${count - 1}}(.*)$`).exec(line)?.[1] ?? ''
  return [...fields.slice(0, count - 1), rest.trimEnd()]
}

function family(root: number): number[] {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = readIfThere(`/proc/${name}/stat`)
    const parent = Number(stat?.slice(stat.lastIndexOf(')') + 4).split(' ')[0])
    children.set(parent, [...(children.get(parent) ?? []), Number(name)])
  }
  const below = (pid: number): number[] => [pid, ...(children.get(pid) ?? []).flatMap(below)]
  return below(root)
}
