import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The package's own: beside dist/ when bundled, two folders up when run from source. */
function readVersion(): string {
  for (const up of ['..', '../..']) {
    try {
      const found = JSON.parse(readFileSync(join(import.meta.dirname, up, 'package.json'), 'utf8')) as {
        readonly name?: string
        readonly version?: string
      }
      if (found.name === 'tcompose' && found.version !== undefined) return found.version
    } catch {}
  }
  return 'unknown'
}

export const VERSION: string = readVersion()

export function versionText(): string {
  return `tcompose version v${VERSION}`
}
