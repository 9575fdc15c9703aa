import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { TcomposeError } from '../../base/errors.ts'
import { randomId } from '../../base/id.ts'
import { syncDirectory } from '../../platform/files.ts'
import { withLock } from '../../platform/lock.ts'
import { copyTree, diskUsage, removeTree } from '../../runtime/fs-worker.ts'
import type { Events } from '../events/types.ts'
import type { Database } from '../state/database.ts'
import type { EnginePaths } from '../state/paths.ts'
import { closeVolume, mountedVolumes, openVolume, readLocalOptions } from './local-mount.ts'
import type { Volume, VolumeSpec, Volumes } from './types.ts'

export interface VolumeDeps {
  readonly db: Database
  readonly paths: EnginePaths
  readonly events: Events
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/

/** The volumes of a state root: directories, or what the local driver's options say. */
export function createVolumes(deps: VolumeDeps): Volumes {
  const { db, paths, events } = deps
  const find = (name: string): Volume | undefined => {
    const row = db.one('SELECT record FROM volumes WHERE name = ?', name)
    return row === undefined ? undefined : (JSON.parse(row.record as string) as Volume)
  }
  const get = (name: string): Volume => {
    const volume = find(name)
    if (!volume) throw new TcomposeError('NOT_FOUND', `no such volume: ${name}`)
    return volume
  }
  const usersOf = (name: string): readonly string[] =>
    db.all('SELECT container_id FROM volume_users WHERE volume = ?', name).map((row) => row.container_id as string)
  const all = (): readonly Volume[] =>
    db.all('SELECT record FROM volumes ORDER BY name').map((row) => JSON.parse(row.record as string) as Volume)
  const locked = <T>(name: string, work: () => Promise<T>): Promise<T> => withLock(db.secret, `volume/${name}`, work)

  const remove = async (name: string): Promise<void> => {
    const volume = get(name)
    const users = usersOf(name)
    if (users.length > 0) {
      throw new TcomposeError('CONFLICT', `remove ${name}: volume is in use - [${users.join(', ')}]`, {
        hint: 'remove the containers that use it first',
      })
    }
    await closeVolume(paths, name)
    // The record goes first: a directory without one is what reconcile clears, a record without one is a lie.
    db.run('DELETE FROM volumes WHERE name = ?', name)
    db.flush()
    await removeTree(`${paths.volumes}/${name}`)
    events.emit({ type: 'volume', action: 'destroy', actorId: name, attributes: { driver: volume.driver } })
  }

  return {
    async create(spec) {
      const name = spec.name ?? randomId()
      if (!NAME.test(name)) {
        throw new TcomposeError(
          'INVALID',
          `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed`,
        )
      }
      return await locked(name, async () => {
        const existing = find(name)
        if (existing) return sameAs(existing, spec)
        return makeVolume(deps, name, spec)
      })
    },
    get: async (name) => get(name),
    find: async (name) => find(name),
    async list(filter = {}) {
      return all()
        .filter((volume) => filter.names === undefined || filter.names.some((name) => volume.name.includes(name)))
        .filter((volume) => (filter.labels ?? []).every((label) => hasLabel(volume.labels, label)))
        .filter((volume) => filter.dangling === undefined || (usersOf(volume.name).length === 0) === filter.dangling)
    },
    async remove(name, options = {}) {
      if (options.force && !find(name)) return
      await locked(name, () => remove(name))
    },
    async prune(filter = {}) {
      const removed: string[] = []
      let bytes = 0
      for (const volume of all()) {
        if (!filter.all && !volume.anonymous) continue
        if (usersOf(volume.name).length > 0 || !(filter.labels ?? []).every((label) => hasLabel(volume.labels, label)))
          continue
        if (filter.notLabels?.some((label) => hasLabel(volume.labels, label))) continue
        const size = existsSync(volume.mountpoint) ? (await diskUsage(volume.mountpoint)).allocatedBytes : 0
        await locked(volume.name, () => remove(volume.name))
        bytes += size
        removed.push(volume.name)
      }
      return { removed, bytes }
    },
    async usedBytes(name, signal) {
      const { mountpoint } = get(name)
      return existsSync(mountpoint) ? (await diskUsage(mountpoint, signal)).allocatedBytes : 0
    },
    use: (name, containerId) =>
      locked(name, async () => {
        const volume = get(name)
        db.run('INSERT OR IGNORE INTO volume_users (volume, container_id) VALUES (?, ?)', name, containerId)
        return await openVolume(paths, volume)
      }),
    populate: (name, image, path) =>
      locked(name, async () => {
        const volume = get(name)
        const directory = await openVolume(paths, volume)
        if (readdirSync(directory).length > 0) return
        try {
          await copyTree({ kind: 'overlay', lowers: image.lowers }, path, { to: directory, ifEmpty: true })
        } catch (error) {
          // The image has nothing there, or a file: then the volume starts empty.
          if (!(error instanceof TcomposeError && ['NOT_FOUND', 'INVALID'].includes(error.code))) throw error
        }
      }),
    release: (name, containerId) =>
      locked(name, async () => {
        db.run('DELETE FROM volume_users WHERE volume = ? AND container_id = ?', name, containerId)
        if (usersOf(name).length === 0) await closeVolume(paths, name)
      }),
    async reconcile() {
      db.run('DELETE FROM volume_users WHERE container_id NOT IN (SELECT id FROM containers)')
      const known = new Set(all().map((volume) => volume.name))
      for (const name of readdirSync(paths.volumes)) {
        if (known.has(name)) continue
        // Its lock is held by whoever makes or removes it right now.
        await locked(name, async () => {
          if (!find(name)) await removeTree(`${paths.volumes}/${name}`)
        })
      }
      for (const name of mountedVolumes(paths)) if (usersOf(name).length === 0) await closeVolume(paths, name)
    },
  }
}

function makeVolume(deps: VolumeDeps, name: string, spec: VolumeSpec): Volume {
  const { db, paths, events } = deps
  const driver = spec.driver ?? 'local'
  if (driver !== 'local') {
    throw new TcomposeError('UNSUPPORTED', `create ${name}: volume driver ${JSON.stringify(driver)} is not supported`, {
      hint: 'use the driver local, with driver_opts for NFS, tmpfs or a bind',
    })
  }
  readLocalOptions(name, spec.driverOpts ?? {})
  const volume: Volume = {
    name,
    driver,
    driverOpts: spec.driverOpts ?? {},
    labels: spec.labels ?? {},
    createdAt: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
    mountpoint: `${paths.volumes}/${name}/_data`,
    anonymous: spec.anonymous ?? spec.name === undefined,
  }
  mkdirSync(`${paths.volumes}/${name}`, { recursive: true, mode: 0o701 })
  mkdirSync(volume.mountpoint, { recursive: true, mode: 0o755 })
  syncDirectory(paths.volumes)
  db.run('INSERT INTO volumes (name, record) VALUES (?, ?)', name, JSON.stringify(volume))
  db.flush()
  events.emit({ type: 'volume', action: 'create', actorId: name, attributes: { driver } })
  return volume
}

function sameAs(existing: Volume, spec: VolumeSpec): Volume {
  const driver = spec.driver ?? 'local'
  if (existing.driver !== driver) {
    throw new TcomposeError(
      'CONFLICT',
      `create ${existing.name}: conflict: volume name must be unique: a volume with driver ${existing.driver} exists`,
    )
  }
  return existing
}

function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const at = wanted.indexOf('=')
  return at < 0 ? wanted in labels : labels[wanted.slice(0, at)] === wanted.slice(at + 1)
}
