import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../base/errors.ts'

/** Bytes that a tree takes on disk, hard links counted once; 0 for one that is not there. */
export async function diskUsage(path: string): Promise<number> {
  const seen = new Set<string>()
  const visit = async (current: string): Promise<number> => {
    try {
      const own = await lstat(current)
      if (own.nlink > 1 && !own.isDirectory()) {
        const key = `${own.dev}:${own.ino}`
        if (seen.has(key)) return 0
        seen.add(key)
      }
      let bytes = own.blocks * 512
      if (own.isDirectory()) {
        for (const name of await readdir(current)) bytes += await visit(join(current, name))
      }
      return bytes
    } catch (error) {
      // Others may remove things meanwhile.
      if (['ENOENT', 'EACCES', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return 0
      throw error
    }
  }
  return visit(path)
}
