import type { Command } from 'commander'
import { humanDuration } from '../../base/duration.ts'
import { formatSize } from '../../base/size.ts'
import { isAlive } from '../../project/plan-stop.ts'
import { formatTable } from '../../ui/table.ts'
import { diskUsage } from '../disk-usage.ts'
import type { Session } from '../session.ts'
import { sure } from '../sure.ts'
import { VERSION } from '../version.ts'

export function configure(command: Command, session: Session): void {
  command.usage('COMMAND').action(() => command.help())

  command
    .command('df')
    .description('Show disk use')
    .action(async () => {
      const engine = await session.engine()
      const [images, containers, volumes] = await Promise.all([
        engine.images.list(),
        engine.containers.list(),
        engine.volumes.list(),
      ])
      const used = new Set(containers.map((one) => one.imageId))
      const mounted = new Set(
        containers.flatMap((one) => one.mounts.flatMap((mount) => (mount.name ? [mount.name] : []))),
      )
      const { paths } = engine
      const [layerBytes, blobBytes, volumeBytes, containerBytes, cacheBytes] = await Promise.all(
        [paths.layers, paths.blobs, paths.volumes, paths.containers, paths.cacheMounts].map((path) => diskUsage(path)),
      )
      session.write(
        formatTable(
          ['TYPE', 'TOTAL', 'ACTIVE', 'SIZE'],
          [
            [
              'Images',
              String(images.length),
              String(images.filter((one) => used.has(one.id)).length),
              formatSize(layerBytes ?? 0),
            ],
            [
              'Containers',
              String(containers.length),
              String(containers.filter(isAlive).length),
              formatSize(containerBytes ?? 0),
            ],
            [
              'Local Volumes',
              String(volumes.length),
              String(volumes.filter((one) => mounted.has(one.name)).length),
              formatSize(volumeBytes ?? 0),
            ],
            ['Build cache mounts', '', '', formatSize(cacheBytes ?? 0)],
            ['Content', '', '', formatSize(blobBytes ?? 0)],
          ],
        ),
      )
    })

  command
    .command('info')
    .description('Show facts about this installation')
    .action(async () => {
      const engine = await session.engine()
      const containers = await engine.containers.list()
      const images = await engine.images.list()
      const running = containers.filter((one) => one.state.status === 'running').length
      const { uptime, release } = await import('node:os')
      const rows: readonly (readonly [string, string])[] = [
        ['Version', VERSION],
        ['State root', engine.paths.root],
        ['Run directory', engine.paths.run],
        ['Containers', `${containers.length} (${running} running)`],
        ['Images', String(images.length)],
        ['Kernel', release()],
        ['Node', process.version],
        ['Host up for', humanDuration(uptime() * 1000)],
      ]
      session.write(rows.map(([name, value]) => `${name}: ${value}\n`).join(''))
    })

  command
    .command('prune')
    .description('Remove what nothing uses: stopped containers, networks, images, build cache')
    .option('-a, --all', 'Named images without a container too')
    .option('-f, --force', 'Do not ask')
    .option('--volumes', 'Anonymous volumes too')
    .action(async (options: { all?: boolean; force?: boolean; volumes?: boolean }) => {
      const warning = `WARNING! This will remove stopped containers, networks without containers, ${options.all ? 'all unused' : 'dangling'} images, unused build cache${options.volumes ? ', anonymous volumes' : ''}.`
      if (!(await sure(session, warning, options.force))) return
      await prune(session, options)
    })
}

async function prune(session: Session, options: { readonly all?: boolean; readonly volumes?: boolean }): Promise<void> {
  const engine = await session.engine()
  let bytes = 0
  for (const container of await engine.containers.list()) {
    if (isAlive(container)) continue
    await engine.containers.remove(container.id)
    session.write(`container ${container.name}\n`)
  }
  for (const network of await engine.networks.list()) {
    if (['bridge', 'host', 'none'].includes(network.name)) continue
    if ((await engine.networks.containersOf(network.id)).length > 0) continue
    await engine.networks.remove(network.id)
    session.write(`network ${network.name}\n`)
  }
  const parts = [
    ...(options.volumes ? [() => engine.volumes.prune()] : []),
    () => engine.images.prune({ all: options.all ?? false }),
    () => engine.builder.prune(),
  ]
  for (const part of parts) {
    const result = await part()
    bytes += result.bytes
    session.write(result.removed.map((one) => `${one}\n`).join(''))
  }
  session.write(`Total reclaimed space: ${formatSize(bytes)}\n`)
}
