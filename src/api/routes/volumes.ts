import type { Engine } from '../../engine/engine.ts'
import type { Volume } from '../../engine/volumes/types.ts'
import { flag, readFilters } from '../exchange.ts'
import type { Routes } from '../router.ts'
import { map, text } from '../wire/read.ts'

export function volumeRoutes(engine: Engine): Routes {
  const { volumes } = engine
  return {
    'GET /volumes': async ({ query }, response) => {
      const filters = readFilters(query, ['dangling', 'driver', 'label', 'name'])
      const dangling = filters.get('dangling')?.[0]
      const found = await volumes.list({
        labels: filters.get('label') ?? [],
        ...(dangling === undefined ? {} : { dangling: ['1', 'true'].includes(dangling) }),
      })
      const names = filters.get('name') ?? []
      const drivers = filters.get('driver') ?? []
      const selected = found.filter(
        (volume) =>
          (names.length === 0 || names.some((name) => volume.name.includes(name))) &&
          (drivers.length === 0 || drivers.includes(volume.driver)),
      )
      response.json(200, { Volumes: selected.map(wireVolume), Warnings: null })
    },
    'GET /volumes/{name}': async ({ params }, response) => {
      response.json(200, wireVolume(await volumes.get(params.name as string)))
    },
    'POST /volumes/create': async (request, response) => {
      const body = await request.json()
      const driver = text(body, 'Driver')
      const driverOpts = map(body, 'DriverOpts')
      const labels = map(body, 'Labels')
      const volume = await volumes.create({
        name: text(body, 'Name'),
        ...(driver ? { driver } : {}),
        ...(driverOpts ? { driverOpts } : {}),
        ...(labels ? { labels } : {}),
      })
      response.json(201, wireVolume(volume))
    },
    'DELETE /volumes/{name}': async ({ params, query }, response) => {
      await volumes.remove(params.name as string, { force: flag(query, 'force') })
      response.empty(204)
    },
    'POST /volumes/prune': async ({ query }, response) => {
      const filters = readFilters(query, ['all', 'label', 'label!'])
      const all = ['1', 'true'].includes(filters.get('all')?.[0] ?? '')
      const { removed, bytes } = await volumes.prune({
        labels: filters.get('label') ?? [],
        notLabels: filters.get('label!') ?? [],
        all,
      })
      response.json(200, { VolumesDeleted: removed.length > 0 ? removed : null, SpaceReclaimed: bytes })
    },
  }
}

export function wireVolume(volume: Volume): object {
  return {
    CreatedAt: volume.createdAt,
    Driver: volume.driver,
    Labels: volume.anonymous ? { 'com.docker.volume.anonymous': '', ...volume.labels } : volume.labels,
    Mountpoint: volume.mountpoint,
    Name: volume.name,
    Options: Object.keys(volume.driverOpts).length > 0 ? volume.driverOpts : null,
    Scope: 'local',
  }
}
