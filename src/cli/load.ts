import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { errnoOf, TcomposeError } from '../base/errors.ts'
import { parseDotenv } from '../compose/dotenv.ts'
import { loadProject } from '../compose/load.ts'
import type { LoadedProject, LoadOptions, Project } from '../compose/types.ts'
import type { Session } from './session.ts'

export interface LoadRequest {
  /** Services that the verb names. */
  readonly services?: readonly string[]
  /** Keep only the named ones, without their dependencies. */
  readonly noDeps?: boolean
  /** All services stay in the project, whatever is named; profiles of the named ones are enabled. */
  readonly keepOthers?: boolean
}

export async function load(session: Session, request: LoadRequest): Promise<Project> {
  const loaded = await loadWith(session, {
    services: request.services ?? [],
    ...(request.noDeps ? { noDeps: true } : {}),
    ...(request.keepOthers ? { keepOthers: true } : {}),
  })
  return loaded.project
}

/** Loads with the global flags; warnings are shown. */
export async function loadWith(session: Session, options: Partial<LoadOptions>): Promise<LoadedProject> {
  const { globals, env } = session
  const loaded = await loadProject({
    cwd: process.cwd(),
    env,
    files: globals.files,
    projectName: globals.projectName,
    projectDirectory: globals.projectDirectory,
    profiles: globals.profiles,
    envFiles: globals.envFiles,
    allResources: globals.allResources,
    stdin: () => text(process.stdin),
    signal: session.signal,
    ...options,
  })
  for (const warning of loaded.warnings) session.warn(warning.message, warning.at)
  return loaded
}

/** `K=V` lines of a file of `--env-from-file`. @throws TcomposeError NOT_FOUND */
export async function readEnvFile(
  path: string,
  known: Readonly<Record<string, string | undefined>>,
): Promise<readonly string[]> {
  let content: string
  try {
    content = await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT')
      throw new TcomposeError('NOT_FOUND', `env file ${path} not found`, { cause: error })
    throw error
  }
  const values = parseDotenv(content, { get: (name) => known[name], file: path })
  return [...values].map(([key, value]) => `${key}=${value}`)
}
