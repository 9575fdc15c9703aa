import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { TcomposeError } from '../../base/errors.ts'
import { parseSizeBytes } from '../../base/size.ts'
import { csvFields } from '../../dockerfile/mount.ts'
import type { BuildContext, BuildOutput, BuildRequest } from '../../engine/build/types.ts'
import { createBuildOutput } from '../build-output.ts'
import { environmentOf } from '../environment.ts'
import { collect, collectList, hidden } from '../options.ts'
import type { Session } from '../session.ts'

interface Options {
  readonly addHost?: readonly string[]
  readonly allow?: readonly string[]
  readonly buildArg?: readonly string[]
  readonly buildContext?: readonly string[]
  readonly cache: boolean
  readonly cacheFrom?: readonly string[]
  readonly cacheTo?: readonly string[]
  readonly check?: boolean
  readonly file?: string
  readonly iidfile?: string
  readonly label?: readonly string[]
  readonly load?: boolean
  readonly network?: string
  /** Of `--no-cache-filter`: true when it is not given, since its name reads as a negation. */
  readonly cacheFilter?: true | readonly string[]
  readonly output?: readonly string[]
  readonly platform?: readonly string[]
  readonly progress?: string
  readonly pull?: boolean
  readonly push?: boolean
  readonly quiet?: boolean
  readonly secret?: readonly string[]
  readonly shmSize?: string
  readonly ssh?: readonly string[]
  readonly tag?: readonly string[]
  readonly target?: string
  readonly ulimit?: readonly string[]
}

/** `tcompose image build`, with the flags of `docker buildx build`. */
export function configureBuild(parent: Command, session: Session): void {
  parent
    .command('build')
    .description('Build an image from a Dockerfile')
    .argument('<context>', 'Directory, Git or tar URL, or - for a tar or Dockerfile from stdin')
    .option('--add-host <host:ip>', 'Add to /etc/hosts of build steps (repeatable)', collect)
    .option('--allow <entitlement>', 'network.host or security.insecure (repeatable)', collectList)
    .option('--build-arg <name=value>', 'Set a build argument (repeatable)', collect)
    .option('--build-context <name=path>', 'Further build context (repeatable)', collect)
    .option('--cache-from <source>', 'Accepted for scripts: the cache is here', collect)
    .option('--cache-to <target>', 'Accepted for scripts: the cache is here', collect)
    .option('--check', 'Check the Dockerfile only')
    .option('-f, --file <path>', 'Name of the Dockerfile')
    .option('--iidfile <file>', 'Write the image id to a file')
    .option('--label <name=value>', 'Set a label (repeatable)', collect)
    .option('--load', 'Keep the image here (the default)')
    .option('--network <mode>', 'Network of build steps: default, none, host, or a network')
    .option('--no-cache', 'Do not use the cache')
    .option('--no-cache-filter <stages>', 'Do not use the cache for these stages', (value, before: unknown) =>
      collectList(value, Array.isArray(before) ? (before as readonly string[]) : undefined),
    )
    .option('-o, --output <destination>', 'DIR, - or type=local|tar|oci|docker|image,dest=PATH', collect)
    .option('--platform <platform>', 'Platform of the image', collectList)
    .option('--progress <type>', 'auto, plain or quiet')
    .option('--pull', 'Pull newer base images')
    .option('--push', 'Push the image when it is built')
    .option('-q, --quiet', 'Print the image id only')
    .option('--secret <id=…>', 'Secret for build steps: id=ID,src=FILE or id=ID,env=NAME (repeatable)', collect)
    .option('--shm-size <bytes>', 'Size of /dev/shm of build steps')
    .option('--ssh <id>', 'SSH agent for build steps: default or ID=SOCKET (repeatable)', collect)
    .option('-t, --tag <name>', 'Name and tag of the image (repeatable)', collect)
    .option('--target <stage>', 'Stage to build')
    .option('--ulimit <name=soft:hard>', 'Limit of build steps (repeatable)', collect)
    .addOption(hidden('--rm'))
    .addOption(hidden('--force-rm'))
    .addOption(hidden('--builder <name>'))
    .action((context: string, options: Options) => build(session, context, options))
}

async function build(session: Session, context: string, options: Options): Promise<void> {
  const quiet = options.quiet ?? options.progress === 'quiet'
  const engine = await session.engine()
  const { emit } = await session.progress()
  const output = createBuildOutput({ stream: process.stderr, quiet })
  const result = await engine.builder.build(requestOf(session, context, options), {
    emit,
    onEvent: (event) => output.show('', event),
    signal: session.signal,
  })
  if (options.check) {
    session.write(
      result.warnings.length === 0
        ? 'Check complete, no warnings found.\n'
        : `Check complete, ${result.warnings.length} warnings have been found!\n`,
    )
    return
  }
  if (options.iidfile !== undefined && result.imageId !== undefined) await writeFile(options.iidfile, result.imageId)
  if (quiet && result.imageId !== undefined) session.write(`${result.imageId}\n`)
  if (!options.push) return
  for (const tag of options.tag ?? []) await engine.images.push(tag, { emit, signal: session.signal })
}

function requestOf(session: Session, context: string, options: Options): BuildRequest {
  const outputs = (options.output ?? []).map(toOutput)
  return {
    context: context === '-' ? { kind: 'tar', stream: process.stdin } : toContext(context),
    // As docker has it: relative to where we are, not to the context.
    dockerfile: options.file === undefined ? undefined : resolve(options.file),
    target: options.target,
    args: pairs(environmentOf(options.buildArg ?? [], session.env)),
    labels: pairs((options.label ?? []).map((label) => (label.includes('=') ? label : `${label}=`))),
    tags: options.tag ?? [],
    contexts: Object.fromEntries(
      Object.entries(pairs(options.buildContext ?? [])).map(([name, text]) => [name, toContext(text)]),
    ),
    platforms: options.platform ?? [],
    secrets: (options.secret ?? []).map((text) => toSecret(text, session.env)),
    ssh: options.ssh ?? [],
    noCache: !options.cache,
    noCacheFilter: Array.isArray(options.cacheFilter) ? (options.cacheFilter as readonly string[]) : [],
    pull: options.pull ?? false,
    network: options.network === 'default' ? undefined : options.network,
    shmSizeBytes: options.shmSize === undefined ? undefined : parseSizeBytes(options.shmSize),
    ulimits: (options.ulimit ?? []).map(toUlimit),
    extraHosts: options.addHost ?? [],
    entitlements: options.allow ?? [],
    cacheFrom: options.cacheFrom ?? [],
    cacheTo: options.cacheTo ?? [],
    check: options.check ?? false,
    ...(outputs.length > 0 ? { outputs } : {}),
  }
}

function toContext(text: string): BuildContext {
  if (text.startsWith('docker-image://')) return { kind: 'image', reference: text.slice('docker-image://'.length) }
  if (text.startsWith('oci-layout://')) return { kind: 'oci-layout', path: text.slice('oci-layout://'.length) }
  if (/^(git|ssh):\/\/|^git@|^github\.com\//.test(text) || /^https?:\/\/[^?#]+\.git([?#].*)?$/.test(text)) {
    return { kind: 'git', url: text }
  }
  if (/^https?:\/\//.test(text)) return { kind: 'url', url: text }
  return { kind: 'directory', path: resolve(text) }
}

function pairs(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=')
      if (at < 1) throw new TcomposeError('INVALID', `invalid value ${JSON.stringify(text)}: NAME=VALUE is expected`)
      return [text.slice(0, at), text.slice(at + 1)]
    }),
  )
}

function toSecret(text: string, env: NodeJS.ProcessEnv): NonNullable<BuildRequest['secrets']>[number] {
  const fields = pairs(csvFields(text))
  const id = fields.id
  if (id === undefined) throw new TcomposeError('INVALID', `invalid secret ${JSON.stringify(text)}: id is missing`)
  const file = fields.src ?? fields.source
  if (file !== undefined && fields.type !== 'env') return { id, file: resolve(file) }
  const name = fields.env ?? file ?? id
  if (env[name] !== undefined || fields.type === 'env' || fields.env !== undefined) return { id, env: name }
  return { id, file: resolve(id) }
}

function toUlimit(text: string): NonNullable<BuildRequest['ulimits']>[number] {
  const match = /^(\w+)=(-?\d+)(?::(-?\d+))?$/.exec(text)
  if (!match) throw new TcomposeError('INVALID', `invalid ulimit ${JSON.stringify(text)}: NAME=SOFT[:HARD] is expected`)
  return { name: match[1] as string, soft: Number(match[2]), hard: Number(match[3] ?? match[2]) }
}

function toOutput(text: string): BuildOutput {
  if (!text.includes('=')) return { kind: 'local', path: resolve(text) }
  const fields = pairs(csvFields(text))
  const { type } = fields
  if (type === 'image' || (type === 'docker' && fields.dest === undefined)) return { kind: 'image' }
  if (type === 'local' || type === 'tar' || type === 'oci' || type === 'docker') {
    const { dest } = fields
    if (dest === undefined) throw new TcomposeError('INVALID', `output ${type} needs dest=PATH`)
    return { kind: type, path: dest === '-' ? '/dev/stdout' : resolve(dest) }
  }
  throw new TcomposeError('UNSUPPORTED', `build output type ${JSON.stringify(type)} is not supported`)
}
