import { readFileSync } from 'node:fs'
import { errnoOf, TcomposeError } from '../base/errors.ts'
import { isAlive, type ProcessIdentity } from '../platform/process.ts'
import type { ShimExit } from './shim-types.ts'

/**
 * The exit record of a bundle, written durably before anyone is told; undefined while there is none.
 * Whoever sees it may reuse or remove everything of the container: mounts, ports and cgroups have gone before.
 * @throws TcomposeError CORRUPT
 */
export function readExit(bundle: string): ShimExit | undefined {
  const text = readText(`${bundle}/exit`)
  return text === undefined ? undefined : parseExit(text, bundle)
}

/** The text of an exit record: code, signal, whether for want of memory, nanoseconds, error if any. */
export function parseExit(text: string, bundle: string): ShimExit {
  const fields = /^(\d+) (\d+) ([01]) (\d+)(?: (.+))?\n$/s.exec(text)
  if (!fields) throw new TcomposeError('CORRUPT', `${bundle}/exit is not an exit record`)
  const [, exitCode, signal, oomKilled, finishedAt, error] = fields
  return {
    exitCode: Number(exitCode),
    signal: Number(signal),
    oomKilled: oomKilled === '1',
    finishedAt: BigInt(finishedAt ?? '0'),
    ...(error === undefined ? {} : { error }),
  }
}

/** The container's first process, from the moment it runs; stays readable after its end. */
export function readPid(bundle: string): ProcessIdentity | undefined {
  return readIdentity(`${bundle}/pid`)
}

/** The shim itself, from before it reports ready. */
export function readShim(bundle: string): ProcessIdentity | undefined {
  return readIdentity(`${bundle}/shim`)
}

/** Whether the bundle's shim runs: by pid and start time, without asking it. */
export function shimIsAlive(bundle: string): boolean {
  const shim = readShim(bundle)
  return shim !== undefined && isAlive(shim)
}

/** Files of `pid start\n`, written by rename. */
function readIdentity(path: string): ProcessIdentity | undefined {
  const fields = /^(\d+) (\d+)\n$/.exec(readText(path) ?? '')
  return fields ? { pid: Number(fields[1]), start: fields[2] ?? '' } : undefined
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
