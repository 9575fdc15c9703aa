import { createReadStream } from 'node:fs'
import { access } from 'node:fs/promises'
import type { Command } from 'commander'
import { shortId } from '../../base/digest.ts'
import { TcomposeError } from '../../base/errors.ts'
import { formatSize } from '../../base/size.ts'
import { ago, formatRows } from '../format.ts'
import { splitTag } from '../image-names.ts'
import { openOutput } from '../open-output.ts'
import { collect } from '../options.ts'
import type { Session } from '../session.ts'
import { configureBuild } from './image-build.ts'

const COLUMNS = [
  ['REPOSITORY', 'Repository'],
  ['TAG', 'Tag'],
  ['IMAGE ID', 'ID'],
  ['CREATED', 'CreatedSince'],
  ['SIZE', 'Size'],
] as const

export function configure(command: Command, session: Session): void {
  command.usage('COMMAND').action(() => command.help())
  configureBuild(command, session)

  command
    .command('load')
    .description('Load images from an archive (docker or OCI; plain, gzip or zstd) or from stdin')
    .option('-i, --input <file>', 'Archive file')
    .option('-q, --quiet', 'Show no progress')
    .action(async (options: { input?: string; quiet?: boolean }) => {
      if (options.input === undefined && process.stdin.isTTY) {
        throw new TcomposeError('INVALID', 'requested load from stdin, but stdin is a terminal', {
          hint: 'give -i FILE',
        })
      }
      if (options.input !== undefined) await checkReadable(options.input)
      const engine = await session.engine()
      const { emit } = await session.progress()
      const input = options.input === undefined ? process.stdin : createReadStream(options.input)
      const loaded = await engine.images.load(input, options.quiet ? () => {} : emit, session.signal)
      for (const name of loaded) session.write(`Loaded image${name.startsWith('sha256:') ? ' ID' : ''}: ${name}\n`)
    })

  command
    .command('save')
    .description('Write images to an archive')
    .argument('<images...>')
    .option('-o, --output <file>', 'Write to a file in place of stdout')
    .option('--format <format>', 'docker or oci', 'docker')
    .action(async (images: readonly string[], options: { output?: string; format: string }) => {
      if (options.output === undefined && process.stdout.isTTY) {
        throw new TcomposeError('INVALID', 'cowardly refusing to save to a terminal', {
          hint: 'give -o FILE, or redirect stdout',
        })
      }
      if (options.format !== 'docker' && options.format !== 'oci') {
        throw new TcomposeError('INVALID', `invalid value ${JSON.stringify(options.format)} for --format`, {
          hint: 'docker or oci is expected',
        })
      }
      const engine = await session.engine()
      const out = options.output === undefined ? process.stdout : await openOutput(options.output)
      await engine.images.save(images, out, { format: options.format })
      if (out !== process.stdout) await new Promise<void>((resolve) => out.end(() => resolve()))
    })

  command
    .command('import')
    .description('Make an image of a tarball of a root file system')
    .argument('<file>', '- for stdin')
    .argument('[reference]')
    .option('-m, --message <text>', 'Comment of its history')
    .option('-c, --change <instruction>', 'Dockerfile instruction for its configuration (repeatable)', collect)
    .option('--platform <platform>', 'Platform it is for')
    .action(
      async (
        file: string,
        reference: string | undefined,
        options: { message?: string; change?: readonly string[]; platform?: string },
      ) => {
        const { parseChanges } = await import('../../engine/images/image-changes.ts')
        if (file !== '-') await checkReadable(file)
        const engine = await session.engine()
        const image = await engine.images.import(file === '-' ? process.stdin : createReadStream(file), {
          ...(reference === undefined ? {} : { reference }),
          ...(options.message === undefined ? {} : { message: options.message }),
          ...(options.platform === undefined ? {} : { platform: options.platform }),
          config: parseChanges(options.change ?? []),
        })
        session.write(`${image.id}\n`)
      },
    )

  command
    .command('ls')
    .aliases(['list'])
    .description('List images')
    .argument('[reference]')
    .option('-a, --all', 'Show all images')
    .option('-q, --quiet', 'Show ids alone')
    .option('--no-trunc', 'Do not cut the output')
    .option('--format <format>', 'table, table TEMPLATE, json, or a Go template', 'table')
    .action(async (reference: string | undefined, options: { quiet?: boolean; trunc: boolean; format: string }) => {
      const engine = await session.engine()
      const images = await engine.images.list(reference === undefined ? {} : { references: [reference] })
      const rows = images.flatMap((image) =>
        (image.tags.length > 0 ? image.tags : ['<none>:<none>']).map((name) => {
          const { repository, tag } = splitTag(name)
          return {
            Repository: repository,
            Tag: tag,
            ID: options.trunc ? shortId(image.id) : image.id,
            Digest: image.repoDigests[0]?.split('@')[1] ?? '<none>',
            CreatedAt: image.createdAt,
            CreatedSince: ago(image.createdAt, Date.now()),
            Size: formatSize(image.sizeBytes),
          }
        }),
      )
      if (options.quiet) session.write([...new Set(rows.map((row) => `${row.ID}\n`))].join(''))
      else session.write(formatRows(options.format, COLUMNS, rows))
    })

  command
    .command('inspect')
    .description('Show images in detail')
    .argument('<images...>')
    .action(async (references: readonly string[]) => {
      const engine = await session.engine()
      const images = await Promise.all(references.map((one) => engine.images.get(one)))
      const shown = images.map((image) => ({
        Id: image.id,
        RepoTags: image.tags,
        RepoDigests: image.repoDigests,
        Created: image.createdAt,
        Architecture: image.config.architecture,
        Os: image.config.os,
        ...(image.config.variant ? { Variant: image.config.variant } : {}),
        Size: image.sizeBytes,
        Config: image.config.config ?? {},
        RootFS: { Type: 'layers', Layers: image.config.rootfs.diff_ids },
        Metadata: { LastTagTime: image.taggedAt },
      }))
      session.write(`${JSON.stringify(shown, null, 4)}\n`)
    })

  command
    .command('history')
    .description('Show how an image was made')
    .argument('<image>')
    .action(async (reference: string) => {
      const engine = await session.engine()
      const rows = (await engine.images.history(reference)).map((one) => ({
        ID: one.id === '<missing>' ? one.id : shortId(one.id),
        Created: one.created ? ago(one.created, Date.now()) : 'N/A',
        CreatedBy: one.createdBy.length > 45 ? `${one.createdBy.slice(0, 44)}…` : one.createdBy,
        Size: formatSize(one.sizeBytes),
        Comment: one.comment,
      }))
      const columns = [
        ['IMAGE', 'ID'],
        ['CREATED', 'Created'],
        ['CREATED BY', 'CreatedBy'],
        ['SIZE', 'Size'],
        ['COMMENT', 'Comment'],
      ] as const
      session.write(formatRows('table', columns, rows))
    })

  command
    .command('tag')
    .description('Give an image another name')
    .argument('<image>')
    .argument('<name>')
    .action(async (image: string, name: string) => (await session.engine()).images.tag(image, name))

  command
    .command('rm')
    .aliases(['remove'])
    .description('Remove images')
    .argument('<images...>')
    .option('-f, --force', 'Also when containers use them')
    .option('--no-prune', 'Keep untagged parents')
    .action(async (images: readonly string[], options: { force?: boolean; prune: boolean }) => {
      const engine = await session.engine()
      for (const reference of images) {
        if (options.force && !(await engine.images.find(reference))) continue
        const { untagged, deleted } = await engine.images.remove(reference, {
          force: options.force ?? false,
          noPrune: !options.prune,
        })
        session.write(
          [...untagged.map((one) => `Untagged: ${one}\n`), ...deleted.map((one) => `Deleted: ${one}\n`)].join(''),
        )
      }
    })

  command
    .command('pull')
    .description('Pull an image')
    .argument('<image>')
    .option('--platform <platform>', 'Platform to pull')
    .option('-q, --quiet', 'Show no progress')
    .action(async (reference: string, options: { platform?: string; quiet?: boolean }) => {
      const { pullImage } = await import('../../project/images.ts')
      const { emit } = await session.progress()
      await pullImage(await session.engine(), reference, options.platform, {
        emit: options.quiet ? () => {} : emit,
        signal: session.signal,
        insecureRegistries: session.globals.insecureRegistries,
      })
    })

  command
    .command('push')
    .description('Push an image')
    .argument('<image>')
    .action(async (reference: string) => {
      const { pushImages } = await import('../push-images.ts')
      await pushImages(session, [{ service: reference, reference, named: true }], { ignoreFailures: false })
    })

  command
    .command('prune')
    .description('Remove images that nothing uses')
    .option('-a, --all', 'Named ones too, not only dangling ones')
    .option('-f, --force', 'Do not ask')
    .action(async (options: { all?: boolean; force?: boolean }) => {
      const { sure } = await import('../sure.ts')
      const what = options.all ? 'all images without a container' : 'all dangling images'
      if (!(await sure(session, `WARNING! This will remove ${what}.`, options.force))) return
      const { removed, bytes } = await (await session.engine()).images.prune({ all: options.all ?? false })
      session.write(
        `${removed.map((one) => `deleted: ${one}\n`).join('')}Total reclaimed space: ${formatSize(bytes)}\n`,
      )
    })
}

async function checkReadable(path: string): Promise<void> {
  try {
    await access(path)
  } catch (cause) {
    throw new TcomposeError('NOT_FOUND', `cannot read ${path}`, { cause, hint: 'is the path right?' })
  }
}
