import { mkdirSync, readdirSync } from 'node:fs'
import { randomHex } from '../../base/id.ts'
import { isAlive, processStart } from '../../platform/process.ts'
import { removeTree } from '../../runtime/fs-worker.ts'
import type { EnginePaths } from '../state/paths.ts'

const NAME = /^(\d+)\.(\d+)\.[0-9a-f]+$/

/** A directory that goes away with its owner: by disposing, or by `removeStale` when the process died. */
export interface TemporaryDirectory extends AsyncDisposable {
  readonly path: string
}

/** Makes a fresh private directory on the file system of the state root; its name says which process it belongs to. */
export function makeTemporary(paths: EnginePaths): TemporaryDirectory {
  const path = `${paths.temporary}/${process.pid}.${processStart(process.pid)}.${randomHex(12)}`
  mkdirSync(path, { recursive: true, mode: 0o700 })
  return { path, [Symbol.asyncDispose]: () => removeTree(path) }
}

/** Removes the temporary directories of processes that are gone. @returns how many */
export async function removeStaleTemporaries(paths: EnginePaths): Promise<number> {
  let names: string[]
  try {
    names = readdirSync(paths.temporary)
  } catch {
    return 0
  }
  const stale = names.filter((name) => {
    const match = NAME.exec(name)
    return match !== null && !isAlive({ pid: Number(match[1]), start: match[2] as string })
  })
  await removeTree(stale.map((name) => `${paths.temporary}/${name}`))
  return stale.length
}
