import { TcomposeError } from '../base/errors.ts'
import { randomHex, randomId } from '../base/id.ts'
import { silent } from '../base/progress.ts'
import { splitWords } from '../base/words.ts'
import type { Project } from '../compose/types.ts'
import type { Engine } from '../engine/engine.ts'
import { presentImages } from '../project/images.ts'
import { observe } from '../project/observed.ts'
import { oneOffSpec } from '../project/one-off.ts'
import { createContainer } from '../project/perform.ts'
import { parseMount, parsePorts } from '../project/short-syntax.ts'
import { environmentOf } from './environment.ts'
import { keyValues } from './key-values.ts'
import { readEnvFile } from './load.ts'
import type { Session } from './session.ts'
import { connectTerminal } from './terminal.ts'
import { converge } from './up.ts'

export interface RunOptions {
  readonly build?: boolean
  readonly capAdd?: readonly string[]
  readonly capDrop?: readonly string[]
  readonly detach?: boolean
  readonly entrypoint?: string
  readonly env?: readonly string[]
  readonly envFromFile?: readonly string[]
  readonly interactive: boolean
  readonly label?: readonly string[]
  readonly labels?: readonly string[]
  readonly name?: string
  readonly deps: boolean
  readonly tty?: boolean
  readonly TTY?: boolean
  readonly publish?: readonly string[]
  readonly pull?: string
  readonly quiet?: boolean
  readonly quietBuild?: boolean
  readonly quietPull?: boolean
  readonly removeOrphans?: boolean
  readonly rm?: boolean
  readonly servicePorts?: boolean
  readonly useAliases?: boolean
  readonly user?: string
  readonly volume?: readonly string[]
  readonly volumes?: readonly string[]
  readonly workdir?: string
}

/** `run`: dependencies up, then one more container of the service with our terminal. */
export async function runOneOff(
  session: Session,
  name: string,
  words: readonly string[],
  options: RunOptions,
): Promise<void> {
  if (options.publish?.length && options.servicePorts) {
    throw new TcomposeError('INVALID', '--service-ports and --publish are incompatible')
  }
  const project = await session.project({ services: [name], noDeps: !options.deps })
  const engine = await session.engine()
  const service = project.services[name]
  if (!service) throw new TcomposeError('NOT_FOUND', `no such service: ${name}`)
  const ready = await startDependencies(session, project, name, options)
  const observed = await observe(engine, project.name, ready, await presentImages(ready, engine))
  const ownTty =
    options.tty !== false && options.TTY !== false && process.stdin.isTTY === true && process.stdout.isTTY === true
  const tty = !options.detach && ownTty
  const stdin = options.interactive && !options.detach
  const known = { ...project.environment, ...session.env }
  const fileEnv = (await Promise.all((options.envFromFile ?? []).map((path) => readEnvFile(path, known)))).flat()
  const oneOff = oneOffSpec(ready, name, observed, {
    command: words.length > 0 ? words : undefined,
    entrypoint: options.entrypoint === undefined ? undefined : splitWords(options.entrypoint),
    env: [...fileEnv, ...environmentOf(options.env ?? [], { ...project.environment, ...session.env })],
    user: options.user,
    workingDir: options.workdir,
    name: options.name,
    labels: keyValues([...(options.label ?? []), ...(options.labels ?? [])]),
    capAdd: options.capAdd ?? [],
    capDrop: options.capDrop ?? [],
    mounts: [...(options.volume ?? []), ...(options.volumes ?? [])].map((text) =>
      namedVolume(parseMount(text, process.cwd()), ready),
    ),
    servicePorts: options.servicePorts ?? false,
    ports: (options.publish ?? []).flatMap(parsePorts),
    aliases: options.useAliases ?? false,
    tty: tty || (service.tty === true && options.detach === true),
    openStdin: stdin,
    autoRemove: (options.rm ?? false) && options.detach === true,
    slug: randomHex(12),
  })
  if (session.dryRun) {
    session.write(`container:${oneOff.spec.name}, createContainer, run\n`)
    return
  }
  const id = randomId()
  await createContainer(
    { kind: 'createContainer', id, spec: oneOff.spec, volumesFrom: oneOff.volumesFrom },
    engine,
    session.signal,
  )
  await session.ensureAgent()
  if (options.detach) {
    await engine.containers.start(id, { signal: session.signal })
    session.write(`${oneOff.spec.name}\n`)
    return
  }
  try {
    await runHere(session, engine, id, { tty, stdin })
  } finally {
    if (options.rm) await engine.containers.remove(id, { force: true, volumes: true })
  }
}

/** Attaches before the start, so that nothing of the output is missed. */
async function runHere(
  session: Session,
  engine: Engine,
  id: string,
  terminal: { readonly tty: boolean; readonly stdin: boolean },
): Promise<void> {
  // Ctrl-C is the process's; only when it does not heed it three times do we let it be killed.
  session.interrupts.handle((_name, count) => {
    if (count > 2) void engine.containers.kill(id, 'SIGKILL').catch(() => {})
  })
  const attaching = engine.containers.attach(id)
  attaching.catch(() => {})
  await engine.containers.start(id)
  const streams = await attaching
  const end = await connectTerminal(streams, { ...terminal, detachKeys: 'ctrl-p,ctrl-q', signals: true })
  if (end.kind === 'exit') session.exitCode = end.exitCode
}

/** Images of everything and containers of the dependencies. @returns the project with what providers have added */
async function startDependencies(
  session: Session,
  project: Project,
  name: string,
  options: RunOptions,
): Promise<Project> {
  if (options.quiet) await hideProgress(session)
  const flags = {
    ...(options.build ? { build: true } : {}),
    ...(options.pull ? { pull: options.pull } : {}),
    quietPull: options.quietPull ?? false,
    quietBuild: options.quietBuild ?? options.quiet ?? false,
    removeOrphans: options.removeOrphans ?? false,
  }
  const convergence = await converge(session, project, [name], flags, { start: true, wait: false, oneOff: name })
  await session.execute(convergence.plan)
  return convergence.project
}

async function hideProgress(session: Session): Promise<void> {
  const shown = await session.progress()
  Object.assign(shown, { emit: silent })
}

/** A volume of the file is meant by its key. */
function namedVolume(mount: ReturnType<typeof parseMount>, project: Project): ReturnType<typeof parseMount> {
  if (mount.kind !== 'volume' || mount.source === undefined) return mount
  const name = project.volumes?.[mount.source]?.name
  return name === undefined ? mount : { ...mount, source: name }
}
