import type { Command } from 'commander'
import { shortId } from '../../base/digest.ts'
import { formatSize } from '../../base/size.ts'
import type { Container } from '../../engine/containers/types.ts'
import type { Image } from '../../engine/images/types.ts'
import { formatTable } from '../../ui/table.ts'
import { openScope, pick } from '../choose.ts'
import { ago } from '../format.ts'
import { splitTag } from '../image-names.ts'
import type { Session } from '../session.ts'

export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS] [SERVICE...]')
    .argument('[services...]')
    .option('--format <format>', 'table, json', 'table')
    .option('-q, --quiet', 'Show ids alone')
    .action(async (services: readonly string[], options: { format: string; quiet?: boolean }) => {
      const scope = await openScope(session, services)
      const engine = await session.engine()
      const containers = pick(scope.containers, { services, oneOffs: true })
      const rows = await Promise.all(
        containers.map(async (container) => view(container, await engine.images.find(container.imageId))),
      )
      if (options.quiet) {
        const ids = new Set(containers.map((one) => one.imageId.replace(/^sha256:/, '')))
        session.write([...ids].map((id) => `${id}\n`).join(''))
      } else if (options.format === 'json') {
        session.write(`${JSON.stringify(rows)}\n`)
      } else {
        session.write(
          formatTable(
            ['CONTAINER', 'REPOSITORY', 'TAG', 'PLATFORM', 'IMAGE ID', 'SIZE', 'CREATED'],
            rows.map((one) => [
              one.ContainerName,
              one.Repository,
              one.Tag,
              one.Platform,
              shortId(one.ID),
              formatSize(one.Size),
              ago(one.Created, Date.now()),
            ]),
          ),
        )
      }
    })
}

function view(container: Container, image: Image | undefined) {
  const own = container.spec.image
  const name = image?.tags.find((one) => one === own || one === `${own}:latest`) ?? image?.tags[0] ?? own
  const { repository, tag } = splitTag(name)
  return {
    ID: container.imageId,
    ContainerName: container.name,
    Repository: repository,
    Tag: tag,
    Platform: image
      ? `${image.config.os}/${image.config.architecture}${image.config.variant ? `/${image.config.variant}` : ''}`
      : '',
    Size: image?.sizeBytes ?? 0,
    Created: image?.createdAt ?? container.createdAt,
    LastTagTime: image?.taggedAt ?? '',
  }
}
