import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { sleep } from '../../base/concurrency.ts'
import { errnoOf, TcomposeError } from '../../base/errors.ts'

const WAIT_MS = 10_000

/**
 * Stops or lets go on every process in the cgroup of `pid`, and waits until the kernel says so. v1, hybrid and v2.
 * To let go on what has ended meanwhile is no error.
 */
export async function setFrozen(pid: number, frozen: boolean): Promise<void> {
  try {
    await setState(pid, frozen)
  } catch (error) {
    const code = errnoOf(error)
    if (frozen || (code !== 'ENOENT' && code !== 'ENODEV' && code !== 'ESRCH')) throw error
  }
}

async function setState(pid: number, frozen: boolean): Promise<void> {
  const { file, value, isDone } = freezerOf(pid, frozen)
  const deadline = Date.now() + WAIT_MS
  writeFileSync(file, value)
  for (let pauseMs = 1; !isDone(); pauseMs = Math.min(pauseMs * 2, 50)) {
    if (Date.now() > deadline) {
      if (frozen) writeFileSync(file, freezerOf(pid, false).value)
      throw new TcomposeError('TIMEOUT', `the kernel did not ${frozen ? 'freeze' : 'thaw'} the container in time`)
    }
    // On v1 a fork under way may slip by; writing again catches it.
    if (frozen) writeFileSync(file, value)
    await sleep(pauseMs)
  }
}

function freezerOf(
  pid: number,
  frozen: boolean,
): { readonly file: string; readonly value: string; readonly isDone: () => boolean } {
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n')
  const v1 = lines
    .map((line) => /^\d+:([^:]*):(.*)$/.exec(line))
    .find((match) => match?.[1]?.split(',').includes('freezer'))
  if (v1) {
    const file = `/sys/fs/cgroup/freezer${v1[2]}/freezer.state`
    const value = frozen ? 'FROZEN' : 'THAWED'
    return { file, value, isDone: () => readFileSync(file, 'utf8').trim() === value }
  }
  const path = lines.map((line) => /^0::(.*)$/.exec(line)?.[1]).find((found) => found !== undefined)
  const directory = `/sys/fs/cgroup${path}`
  if (path === undefined || !existsSync(`${directory}/cgroup.freeze`)) {
    throw new TcomposeError('UNSUPPORTED', 'pause: this kernel has no cgroup freezer')
  }
  const wanted = `frozen ${frozen ? 1 : 0}`
  return {
    file: `${directory}/cgroup.freeze`,
    value: frozen ? '1' : '0',
    isDone: () => readFileSync(`${directory}/cgroup.events`, 'utf8').includes(wanted),
  }
}
