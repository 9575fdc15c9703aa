import { readFileSync } from 'node:fs'

/** A process beyond doubt: a pid is used again, its start time is not. */
export interface ProcessIdentity {
  readonly pid: number
  /** Field 22 of /proc/PID/stat: clock ticks since boot. */
  readonly start: string
}

/** Start time of a live process; undefined when there is none (a zombie counts as none). */
export function processStart(pid: number): string | undefined {
  if (pid <= 0) return undefined
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The command may hold spaces and parentheses: fields count from the last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

export function isAlive(process: ProcessIdentity): boolean {
  return processStart(process.pid) === process.start
}

/** Sends a signal to exactly that process; false when it is gone. */
export function signalProcess(target: ProcessIdentity, signal: NodeJS.Signals | number): boolean {
  if (!isAlive(target)) return false
  try {
    process.kill(target.pid, signal)
    return true
  } catch {
    return false
  }
}

/** Identifies this boot: records of processes and mounts from another one are void. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
}
