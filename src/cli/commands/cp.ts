import type { Command } from 'commander'
import { TcomposeError } from '../../base/errors.ts'
import { isOneOff } from '../../project/names.ts'
import { openScope, pick, pickOne } from '../choose.ts'
import { copyIn, copyOut } from '../copy.ts'
import { integer } from '../options.ts'
import type { Session } from '../session.ts'

interface Options {
  readonly all?: boolean
  readonly archive?: boolean
  readonly followLink?: boolean
  readonly index?: number
}

export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS] SERVICE:SRC_PATH DEST_PATH|-\n       tcompose cp [OPTIONS] SRC_PATH|- SERVICE:DEST_PATH')
    .argument('<source>')
    .argument('<destination>')
    .option('--all', 'Include one-off containers')
    .option('-a, --archive', 'Keep uid and gid')
    .option('-L, --follow-link', 'Follow a symbolic link at the source')
    .option('--index <n>', 'Which container of the service', integer('--index'))
    .action((source: string, destination: string, options: Options) => copy(session, source, destination, options))
}

async function copy(session: Session, source: string, destination: string, options: Options): Promise<void> {
  const from = split(source)
  const to = split(destination)
  if (from.service !== undefined && to.service !== undefined) {
    throw new TcomposeError('UNSUPPORTED', 'copying between services is not supported', {
      hint: `copy to - and from -: tcompose cp ${source} - | tcompose cp - ${destination}`,
    })
  }
  const service = from.service ?? to.service
  if (service === undefined) {
    throw new TcomposeError('INVALID', 'unknown copy direction', { hint: 'one side is written SERVICE:PATH' })
  }
  const scope = await openScope(session, [service])
  const engine = await session.engine()
  const { emit } = await session.progress()
  const flags = { followLink: options.followLink ?? false, archive: options.archive ?? false, signal: session.signal }
  if (from.service !== undefined) {
    const container = pickOne(scope, service, options.index)
    if (session.dryRun) return session.write(`${container.name}:${from.path} -> ${to.path}\n`)
    const id = `${container.name}`
    if (to.path !== '-')
      emit({ id, status: 'working', text: 'Copying', details: `${container.name}:${from.path} to ${to.path}` })
    await copyOut(engine, container, from.path, to.path, flags)
    if (to.path !== '-')
      emit({ id, status: 'done', text: 'Copied', details: `${container.name}:${from.path} to ${to.path}` })
    return
  }
  const targets =
    options.index !== undefined
      ? [pickOne(scope, service, options.index)]
      : pick(scope.containers, { services: [service], oneOffs: true }).filter((one) => options.all || !isOneOff(one))
  if (targets.length === 0)
    throw new TcomposeError('NOT_FOUND', `no container found for service ${JSON.stringify(service)}`)
  if (from.path === '-' && targets.length > 1) {
    throw new TcomposeError('INVALID', 'stdin can be copied to one container only', { hint: 'choose it with --index' })
  }
  for (const container of targets) {
    const details = `${from.path} to ${container.name}:${to.path}`
    if (session.dryRun) {
      session.write(`${details}\n`)
      continue
    }
    emit({ id: container.name, status: 'working', text: 'Copying', details })
    await copyIn(engine, container, from.path, to.path, flags)
    emit({ id: container.name, status: 'done', text: 'Copied', details })
  }
}

/** `service:path`; a path may have a colon after a slash or a dot. */
function split(text: string): { readonly service: string | undefined; readonly path: string } {
  const match = /^([^./:][^/:]*):(.*)$/s.exec(text)
  return match ? { service: match[1] as string, path: match[2] as string } : { service: undefined, path: text }
}
