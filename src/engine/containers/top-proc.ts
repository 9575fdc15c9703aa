import { statSync } from 'node:fs'
import { readIfThere } from './stats-cgroup.ts'
import type { TopTable } from './top.ts'

const TICKS_PER_SECOND = 100
const DAY_MS = 86_400_000
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** What `ps -ef` prints for `pids`; those that have ended meanwhile are left out. */
export function listProcesses(pids: readonly number[], nowMs = Date.now()): TopTable {
  const names = userNames(readIfThere('/etc/passwd') ?? '')
  const uptimeSeconds = Number((readIfThere('/proc/uptime') ?? '0').split(' ')[0])
  const rows = pids.flatMap((pid) => {
    const stat = readIfThere(`/proc/${pid}/stat`)
    if (stat === undefined) return []
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const field = (number: number): number => Number(fields[number - 3])
    const cpuSeconds = (field(14) + field(15)) / TICKS_PER_SECOND
    const ranSeconds = Math.max(0, uptimeSeconds - field(22) / TICKS_PER_SECOND)
    const uid = ownerOf(pid)
    return [
      [
        names.get(uid) ?? String(uid),
        String(pid),
        String(field(4)),
        String(ranSeconds > 0 ? Math.min(99, Math.floor((cpuSeconds / ranSeconds) * 100)) : 0),
        formatStart(nowMs - ranSeconds * 1000, nowMs),
        formatTty(field(7)),
        formatSeconds(cpuSeconds),
        commandOf(pid, stat),
      ],
    ]
  })
  return { titles: ['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD'], rows }
}

function ownerOf(pid: number): number {
  const status = readIfThere(`/proc/${pid}/status`) ?? ''
  const effective = /^Uid:\s+\d+\s+(\d+)/m.exec(status)?.[1]
  return effective === undefined ? (statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid ?? 0) : Number(effective)
}

function userNames(passwd: string): Map<number, string> {
  const names = new Map<number, string>()
  for (const line of passwd.split('\n')) {
    const [name, , uid] = line.split(':')
    // As ps: a name that does not fit the column gives way to the number.
    if (name && uid && name.length <= 8 && !names.has(Number(uid))) names.set(Number(uid), name)
  }
  return names
}

function commandOf(pid: number, stat: string): string {
  const command = (readIfThere(`/proc/${pid}/cmdline`) ?? '').replace(/\0+$/, '').replaceAll('\0', ' ')
  const printable = command.replace(/[\x00-\x1f\x7f]/g, '?')
  return printable || `[${stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))}]`
}

function formatStart(startMs: number, nowMs: number): string {
  const date = new Date(startMs)
  const two = (value: number): string => String(value).padStart(2, '0')
  if (nowMs - startMs < DAY_MS) return `${two(date.getHours())}:${two(date.getMinutes())}`
  if (date.getFullYear() !== new Date(nowMs).getFullYear()) return String(date.getFullYear())
  return `${MONTHS[date.getMonth()]}${two(date.getDate())}`
}

function formatSeconds(seconds: number): string {
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0')
  return `${two(seconds / 3600)}:${two((seconds / 60) % 60)}:${two(seconds % 60)}`
}

/** Device number of the controlling terminal as `stat` has it: minor 20 bits in two parts, major 12. */
function formatTty(device: number): string {
  if (device === 0) return '?'
  const major = (device >> 8) & 0xfff
  const minor = (device & 0xff) | ((device >> 12) & 0xfff00)
  if (major >= 136 && major <= 143) return `pts/${minor + (major - 136) * 256}`
  if (major === 4) return minor < 64 ? `tty${minor}` : `ttyS${minor - 64}`
  return major === 5 && minor === 1 ? 'console' : '?'
}
