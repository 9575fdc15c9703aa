import { existsSync, statSync } from 'node:fs'
import { basename, dirname, isAbsolute, join, resolve } from 'node:path'
import { TcomposeError } from '../base/errors.ts'
import { parseDotenv } from './dotenv.ts'
import { readIfThere } from './environment.ts'
import type { LoadOptions, Warning } from './types.ts'

export interface Discovery {
  /** Absolute, or `-`. */
  readonly files: readonly string[]
  /** The project directory, absolute. */
  readonly directory: string
  readonly envFiles: readonly string[]
  /** Shell, then env files. */
  readonly environment: Readonly<Record<string, string>>
}

const NAMES = ['compose.yaml', 'compose.yml', 'docker-compose.yml', 'docker-compose.yaml']
const OVERRIDES = [
  'compose.override.yml',
  'compose.override.yaml',
  'docker-compose.override.yml',
  'docker-compose.override.yaml',
]

/**
 * Finds the project's files, directory and environment: flags, then `COMPOSE_*` of the shell, then those of `.env`.
 * @throws TcomposeError NOT_FOUND when there is no compose file
 */
export function discover(options: LoadOptions, warn: (warning: Warning) => void): Discovery {
  const absolute = (path: string): string => (isAbsolute(path) ? path : resolve(options.cwd, path))
  const shell = definedOf(options.env)
  const given = options.files ?? []
  const explicit = options.projectDirectory ? absolute(options.projectDirectory) : undefined
  const fromFlags = given.find((file) => file !== '-')
  const known =
    explicit ?? (given[0] !== undefined && given[0] !== '-' && fromFlags ? dirname(absolute(fromFlags)) : options.cwd)

  const envFiles = envFilesOf(options, shell).map(absolute)
  const isDisabled = /^(1|t|true)$/i.test(shell.COMPOSE_DISABLE_ENV_FILE ?? '')
  let environment = shell
  const apply = (paths: readonly string[], required: boolean): void => {
    const values: Record<string, string> = {}
    for (const path of paths) {
      const text = readEnvFile(path, required)
      if (text === undefined) continue
      const get = (name: string): string | undefined => environment[name] ?? values[name]
      const onUnset = (name: string): void => warn({ message: unset(name), at: path })
      for (const [key, value] of parseDotenv(text, { file: path, get, onUnset })) values[key] = value
    }
    environment = { ...values, ...environment }
  }
  if (envFiles.length > 0) apply(envFiles, true)
  else if (!isDisabled) apply([join(known, '.env')], false)

  const files =
    given.length > 0
      ? given.map((file) => (file === '-' ? file : absolute(file)))
      : findFiles(options, environment, known, warn)
  const [first] = files
  const directory = explicit ?? (first !== undefined && first !== '-' ? dirname(first) : options.cwd)
  // The file may stand elsewhere than where the first .env was looked for.
  if (envFiles.length === 0 && !isDisabled && directory !== known) apply([join(directory, '.env')], false)
  return { files, directory, envFiles, environment }
}

export function unset(name: string): string {
  return `The ${JSON.stringify(name)} variable is not set. Defaulting to a blank string.`
}

function definedOf(env: LoadOptions['env']): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined))
}

function envFilesOf(options: LoadOptions, shell: Readonly<Record<string, string>>): readonly string[] {
  if (options.envFiles?.length) return options.envFiles
  return (shell.COMPOSE_ENV_FILES ?? '').split(',').filter((file) => file !== '')
}

function readEnvFile(path: string, required: boolean): string | undefined {
  if (!required && existsSync(path) && statSync(path).isDirectory()) return undefined
  const text = readIfThere(path)
  if (text === undefined && required) {
    throw new TcomposeError('NOT_FOUND', `couldn't find env file: ${path}`, { hint: 'create it, or change --env-file' })
  }
  return text
}

function findFiles(
  options: LoadOptions,
  environment: Readonly<Record<string, string>>,
  known: string,
  warn: (warning: Warning) => void,
): readonly string[] {
  const listed = environment.COMPOSE_FILE
  if (listed) {
    const separator = environment.COMPOSE_PATH_SEPARATOR || ':'
    return listed
      .split(separator)
      .filter((file) => file !== '')
      .map((file) =>
        file === '-' || isAbsolute(file)
          ? file
          : resolve(options.env.COMPOSE_FILE === undefined ? known : options.cwd, file),
      )
  }
  const start = options.projectDirectory ? known : options.cwd
  for (let directory = start; ; directory = dirname(directory)) {
    const [file, ...more] = NAMES.filter((name) => isFile(join(directory, name)))
    if (file !== undefined) {
      if (more.length > 0) {
        warn({
          message: `Found multiple config files with supported names: ${[file, ...more].map((name) => join(directory, name)).join(', ')}`,
        })
        warn({ message: `Using ${join(directory, file)}` })
      }
      const overrides = OVERRIDES.filter((name) => isFile(join(directory, name)))
      if (overrides.length > 1) {
        warn({
          message: `Found multiple override files with supported names: ${overrides.map((name) => join(directory, name)).join(', ')}`,
        })
        warn({ message: `Using ${join(directory, overrides[0] as string)}` })
      }
      return [file, ...overrides.slice(0, 1)].map((name) => join(directory, name))
    }
    if (dirname(directory) === directory) break
  }
  throw new TcomposeError('NOT_FOUND', 'no configuration file provided: not found', {
    hint: `there is no ${NAMES.join(', ')} in ${start} or above; name one with -f`,
  })
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
}

/**
 * `-p`, COMPOSE_PROJECT_NAME, the files' `name:`, the directory: the first there is.
 * @throws TcomposeError INVALID for a name that is none
 */
export function projectName(options: LoadOptions, discovery: Discovery, fromFiles: string | undefined): string {
  const explicit = options.projectName || discovery.environment.COMPOSE_PROJECT_NAME
  if (explicit) {
    if (explicit === normalizeName(explicit)) return explicit
    throw new TcomposeError(
      'INVALID',
      `invalid project name ${JSON.stringify(explicit)}: must consist only of lowercase alphanumeric characters, hyphens, and underscores as well as start with a letter or number`,
      { hint: normalizeName(explicit) === '' ? undefined : `use ${normalizeName(explicit)}` },
    )
  }
  const name = normalizeName(fromFiles || basename(discovery.directory))
  if (name === '')
    throw new TcomposeError('INVALID', 'project name must not be empty', {
      hint: 'give one with -p, or with name: in the compose file',
    })
  return name
}

export function normalizeName(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '')
    .replace(/^[_-]+/, '')
}
