import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { loadProject } from '../../src/compose/load.ts'
import type { LoadedProject, LoadOptions } from '../../src/compose/types.ts'

export interface ProjectFolder extends Disposable {
  readonly directory: string
  /** Loads the folder's project; `$DIR` in texts stands for the folder. */
  load(options?: Partial<LoadOptions>): Promise<LoadedProject>
}

/** A folder with these files, called `app`, gone with its scope. */
export function projectFolder(files: Readonly<Record<string, string>>): ProjectFolder {
  const root = mkdtempSync(join(tmpdir(), 'tcompose-load-'))
  const directory = join(root, 'app')
  mkdirSync(directory)
  for (const [name, text] of Object.entries(files)) {
    const file = join(directory, name)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text.replaceAll('$DIR', directory))
  }
  return {
    directory,
    load: (options = {}) => loadProject({ cwd: directory, env: { HOME: '/home/me' }, ...options }),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  }
}

/** Loads one compose file. */
export async function loadText(text: string, options: Partial<LoadOptions> = {}): Promise<LoadedProject> {
  using folder = projectFolder({ 'compose.yaml': text })
  return await folder.load(options)
}
