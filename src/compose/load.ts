import { TcomposeError, throwIfAborted } from '../base/errors.ts'
import { checkConsistency } from './consistency.ts'
import { type Discovery, discover, projectName } from './discover.ts'
import { foldFiles } from './environment.ts'
import { variablesOf } from './interpolate.ts'
import { createLoader, type Loader } from './model.ts'
import { normalize } from './normalize.ts'
import type { YamlDocument } from './parse-yaml.ts'
import { enableProfiles, enableServices, pruneResources, selectServices } from './select.ts'
import { createSources } from './sources.ts'
import { substitute, TemplateError } from './template.ts'
import { isMap, type TreeMap, throwAll } from './tree.ts'
import { applyTypes } from './typed.ts'
import type { LoadedProject, LoadOptions, Project, Service, Warning } from './types.ts'
import { dropZeros } from './zeros.ts'

/**
 * Loads a project as `docker compose` does: finds its files and environment, reads, fills in, includes, extends, merges,
 * checks, completes and selects.
 * @throws TcomposeError INVALID for whatever is wrong in the files, with all independent failures in `others`;
 *   NOT_FOUND for files and services that are not there; UNSUPPORTED for what is only to be had from elsewhere
 */
export async function loadProject(options: LoadOptions): Promise<LoadedProject> {
  const stdin = await readStdin(options)
  try {
    return load(options, stdin)
  } catch (error) {
    // Recursion over hostile files is bounded by their depth; what still runs out of stack is a file, not a bug.
    if (error instanceof RangeError && /call stack/.test(error.message)) {
      throw new TcomposeError(
        'INVALID',
        'the compose file is nested too deeply, or its services depend on each other in too long a chain',
        { cause: error },
      )
    }
    throw error
  }
}

async function readStdin(options: LoadOptions): Promise<string | undefined> {
  const isAsked =
    options.files?.includes('-') ||
    (!options.files?.length &&
      (options.env.COMPOSE_FILE ?? '').split(options.env.COMPOSE_PATH_SEPARATOR || ':').includes('-'))
  return isAsked ? options.stdin?.() : undefined
}

function load(options: LoadOptions, stdin: string | undefined): LoadedProject {
  const warnings = createWarnings()
  const discovery = discover(options, warnings.add)
  const sources = createSources(options.cwd)
  const loader = createLoader({ options, sources, warn: warnings.add, stdin, discovery })
  // A name from outside is checked first: it needs no file.
  if (options.projectName || discovery.environment.COMPOSE_PROJECT_NAME) projectName(options, discovery, undefined)
  const documents = discovery.files.map((file) => ({ file, documents: loader.read(file) }))
  throwIfAborted(options.signal)
  const name = projectName(options, discovery, nameInFiles(documents, discovery, options))
  const environment: Readonly<Record<string, string>> = { ...discovery.environment, COMPOSE_PROJECT_NAME: name }

  let model = loader.loadModel(documents, {
    directory: discovery.directory,
    relative: options.noPathResolution ? undefined : discovery.directory,
    get: (key) => (Object.hasOwn(environment, key) ? environment[key] : undefined),
    trail: [],
    isIncluded: false,
  })
  if (Object.keys(model).length === 0)
    throw new TcomposeError('INVALID', 'empty compose file', { at: discovery.files[0] })
  throwIfAborted(options.signal)
  model = options.noNormalize ? { ...model, name } : normalize(model, name)
  const typed = applyTypes(model, { at: sources.at, warn: warnings.add, lenient: options.noInterpolate === true })
  throwAll(typed.errors)
  const all = toProject(dropZeros(typed.tree), { name, discovery, loader, environment })
  return {
    project: finish(all, options, sources.at, warnings.add),
    warnings: warnings.list(),
    variables: variablesOf(loader.raw()),
  }
}

/** Profiles, consistency, selection, and what only the services that are left need. */
function finish(
  all: Project,
  options: LoadOptions,
  at: (path: readonly (string | number)[]) => string | undefined,
  warn: (warning: Warning) => void,
): Project {
  const fromEnvironment = (all.environment.COMPOSE_PROFILES ?? '').split(',').map((one) => one.trim())
  const profiles = [
    ...new Set([...(options.profiles ?? []), ...(options.profiles?.length ? [] : fromEnvironment)]),
  ].filter((one) => one !== '')
  let project = enableProfiles(all, profiles)
  if (!options.noConsistency) throwAll(checkConsistency(project, at))
  const { services = [] } = options
  if (services.length > 0) {
    project = enableServices(project, services)
    if (!options.noConsistency) throwAll(checkConsistency(project, at))
    if (!options.keepOthers) project = selectServices(project, services, options.noDeps)
  }
  if (!options.allResources) project = pruneResources(project)
  if (options.noEnvResolution || options.noInterpolate) return project
  const get = (name: string): string | undefined =>
    Object.hasOwn(project.environment, name) ? project.environment[name] : undefined
  const errors: TcomposeError[] = []
  const folded: Record<string, Service> = {}
  for (const [name, service] of Object.entries(project.services)) {
    try {
      folded[name] = foldFiles(service, { directory: project.working_dir, get, warn })
    } catch (error) {
      if (!(error instanceof TcomposeError)) throw error
      errors.push(
        error.at
          ? error
          : new TcomposeError(error.code, error.message, { at: at(['services', name, 'env_file']), hint: error.hint }),
      )
    }
  }
  throwAll(errors)
  return { ...project, services: folded }
}

interface Parts {
  readonly name: string
  readonly discovery: Discovery
  readonly loader: Loader
  readonly environment: Readonly<Record<string, string>>
}

function toProject(model: TreeMap, parts: Parts): Project {
  const { version: _obsolete, include: _done, services, networks, volumes, configs, secrets, models, ...rest } = model
  return {
    ...rest,
    name: parts.name,
    working_dir: parts.discovery.directory,
    compose_files: parts.discovery.files,
    env_files: parts.discovery.envFiles,
    environment: { ...parts.loader.contentEnvironment(), ...parts.environment },
    profiles: [],
    services: sorted(services),
    disabled_services: {},
    networks: sorted(networks),
    volumes: sorted(volumes),
    configs: sorted(configs),
    secrets: sorted(secrets),
    models: sorted(models),
  } as Project
}

function sorted<T>(map: unknown): Readonly<Record<string, T>> {
  if (!isMap(map)) return {}
  return Object.fromEntries(
    Object.keys(map)
      .sort()
      .map((key) => [key, map[key]]),
  ) as Readonly<Record<string, T>>
}

/** The last `name:` of the files, with variables filled in. */
function nameInFiles(
  files: readonly { readonly documents: readonly YamlDocument[] }[],
  discovery: Discovery,
  options: LoadOptions,
): string | undefined {
  let name: string | undefined
  for (const { documents } of files) {
    for (const { tree } of documents)
      if (isMap(tree) && typeof tree.name === 'string' && tree.name !== '') name = tree.name
  }
  if (name === undefined || options.noInterpolate) return name
  try {
    return substitute(name, { get: (key) => discovery.environment[key] })
  } catch (error) {
    // It fails again, with its place, when the whole file is filled in.
    if (error instanceof TemplateError) return undefined
    throw error
  }
}

function createWarnings(): { readonly add: (warning: Warning) => void; readonly list: () => readonly Warning[] } {
  const found = new Map<string, Warning>()
  return {
    add: (warning) => {
      if (!found.has(warning.message)) found.set(warning.message, warning)
    },
    list: () => [...found.values()],
  }
}
