import { lstat, readdir } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { Readable } from 'node:stream'
import { errnoOf } from '../base/errors.ts'
import type { Engine } from '../engine/engine.ts'
import type { WatchRule } from './rules.ts'
import { type TarEntry, writeTar } from './tar-writer.ts'

export interface SyncResult {
  readonly copied: number
  readonly removed: number
}

/**
 * Makes container paths equal to host paths in each of `containers`: what exists is copied, what does not is removed.
 * One archive and one call per container, however many files; the engine unpacks it confined to the container's root.
 */
export async function syncPaths(
  engine: Engine,
  containers: readonly string[],
  paths: ReadonlyMap<string, string>,
): Promise<SyncResult> {
  const present: TarEntry[] = []
  const gone: string[] = []
  for (const [source, target] of paths) {
    try {
      await lstat(source)
      present.push({ source, name: target.replace(/^\/+/, '') })
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) throw error
      gone.push(target)
    }
  }
  // A folder before what is in it: its mode and existence come first.
  present.sort((a, b) => (a.name < b.name ? -1 : 1))
  await Promise.all(
    containers.map(async (container) => {
      if (gone.length > 0) await engine.containers.removePaths(container, gone)
      if (present.length === 0) return
      const missing: string[] = []
      const tar = Readable.from(writeTar(present, (entry) => missing.push(`/${entry.name}`)))
      await engine.containers.writeArchive(container, '/', tar, { copyUidGid: true })
      if (missing.length > 0) await engine.containers.removePaths(container, missing)
    }),
  )
  return { copied: present.length, removed: gone.length }
}

/** Every path below a rule's folder that it does not ignore, for `initial_sync`. */
export async function listRulePaths(rule: WatchRule): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  const target = rule.target as string
  const visit = async (folder: string, inside: string): Promise<void> => {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const relative = inside === '' ? entry.name : `${inside}/${entry.name}`
      if (!rule.ignores(relative)) found.set(join(folder, entry.name), posix.join(target, relative))
      if (entry.isDirectory() && !rule.prunes(relative)) await visit(join(folder, entry.name), relative)
    }
  }
  const stat = await lstat(rule.path)
  if (stat.isDirectory()) await visit(rule.path, '')
  else found.set(rule.path, target)
  return found
}
