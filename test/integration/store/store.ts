import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { createImages } from '../../../src/engine/images/images.ts'
import type { Images } from '../../../src/engine/images/types.ts'
import { createLayers } from '../../../src/engine/layers/layers.ts'
import type { Layers } from '../../../src/engine/layers/types.ts'
import { type Database, openDatabase } from '../../../src/engine/state/database.ts'
import { type EnginePaths, enginePaths } from '../../../src/engine/state/paths.ts'
import { eventually } from '../../support/eventually.ts'

/** The image store of a state root of its own. */
export interface TestStore extends AsyncDisposable {
  readonly base: string
  readonly paths: EnginePaths
  readonly db: Database
  readonly images: Images
  readonly layers: Layers
  /** Names of layer directories. */
  layerNames(): string[]
  temporaryNames(): string[]
}

export function openStore(env: NodeJS.ProcessEnv = {}, base = mkdtempSync(join(tmpdir(), 'tcs-'))): TestStore {
  const paths = enginePaths({ TCOMPOSE_ROOT: join(base, 'root'), TCOMPOSE_RUN: join(base, 'run') })
  mkdirSync(paths.root, { recursive: true })
  const db = openDatabase(paths.database)
  const layers = createLayers({ db, paths })
  const images = createImages({ db, paths, env: { HOME: base, ...env }, layers })
  const names = (directory: string) => {
    try {
      return readdirSync(directory)
    } catch {
      return []
    }
  }
  return {
    base,
    paths,
    db,
    images,
    layers,
    layerNames: () => names(paths.layers).filter((name) => !name.includes('.')),
    temporaryNames: () => names(paths.temporary),
    async [Symbol.asyncDispose]() {
      db[Symbol.dispose]()
      // New layers are still being written to the disk by a process of its own.
      await eventually(() => {
        rmSync(base, { recursive: true, force: true })
      })
    },
  }
}

export function streamOf(data: Buffer, chunkBytes = 10_000): Readable {
  const chunks: Buffer[] = []
  for (let at = 0; at < data.length; at += chunkBytes) chunks.push(data.subarray(at, at + chunkBytes))
  return Readable.from(chunks, { objectMode: false })
}
