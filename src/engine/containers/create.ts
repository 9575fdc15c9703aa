import { chmodSync, chownSync, mkdirSync, statSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { TcomposeError } from '../../base/errors.ts'
import { randomId } from '../../base/id.ts'
import { processStart } from '../../platform/process.ts'
import type { Image } from '../images/types.ts'
import { checkSpec } from './check.ts'
import { mergeConfig } from './config.ts'
import { type ContainerContext, directoryOf, emitContainer, lockContainer } from './deps.ts'
import { endpointNames, releaseEndpoints } from './endpoints.ts'
import { planMounts } from './mount-plan.ts'
import { makeMounts, releaseMounts } from './mounts.ts'
import type { ContainerSpec } from './spec.ts'
import { INITIAL_STATE, type StoredRecord, type StoredState } from './store.ts'
import { nowNano } from './timestamps.ts'

/**
 * Makes a container and everything it owns: directory, volumes, addresses. Its row is there first, in phase `creating`,
 * so that whoever finds it with a dead holder takes it all away.
 * @returns its id
 */
export async function createContainer(
  context: ContainerContext,
  spec: ContainerSpec,
  options: { readonly id?: string | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<string> {
  const { signal } = options
  const id = options.id ?? randomId()
  const images = await context.images()
  const image = await images.get(spec.image)
  checkPlatform(spec, image)
  const config = mergeConfig(spec, image.config.config ?? {}, id)
  const planned = planMounts(spec.mounts ?? [], config.volumes, config.workingDir)
  checkSpec(spec, config, planned, context.paths.instance)
  const directory = directoryOf(context, id)
  const record: StoredRecord = {
    createdAt: nowNano(),
    spec,
    config,
    args: [...config.entrypoint, ...config.command],
    labels: { ...image.config.config?.Labels, ...spec.labels },
    mounts: [],
    logPath: spec.log?.driver === 'none' ? '' : `${directory}/${id}-json.log`,
    networkOrder: [],
  }
  await using _lock = await lockContainer(context, id, signal)
  const holder = { pid: process.pid, start: processStart(process.pid) ?? '' }
  const state: StoredState = { ...INITIAL_STATE, bootId: context.boot, phase: 'creating', holder }
  await dropDeadNamesake(context, spec.name)
  context.store.insert(id, spec.name, image.id, record, state)
  try {
    makeDirectories(directory, await rootLowers(context, image))
    const mounts = await makeMounts(context, { id, image, planned, directory, labels: record.labels })
    const networkOrder = await allocateEndpoints(context, id, spec, config.hostname)
    context.db.transaction(() => {
      context.store.setRecord(id, { ...record, mounts, networkOrder })
      context.store.setState(id, { ...INITIAL_STATE, bootId: context.boot })
    })
  } catch (error) {
    await discardContainer(context, id)
    throw error
  }
  await emitContainer(context, { id, name: spec.name, record }, 'create')
  return id
}

/** @throws TcomposeError NOT_FOUND when the image is for another platform than the one asked for */
function checkPlatform(spec: ContainerSpec, image: Image): void {
  if (!spec.platform) return
  const { os, architecture, variant } = image.config
  const [wantedOs, wantedArch, wantedVariant] = spec.platform.split('/')
  const matches =
    wantedOs === os &&
    (wantedArch === undefined || wantedArch === architecture) &&
    (wantedVariant === undefined || variant === undefined || wantedVariant === variant)
  if (matches) return
  const actual = [os, architecture, variant].filter((part) => part !== undefined).join('/')
  throw new TcomposeError(
    'NOT_FOUND',
    `image with reference ${spec.image} was found but its platform (${actual}) does not match the specified platform (${spec.platform})`,
  )
}

/** Takes away what a create that did not end has made. Idempotent. */
export async function discardContainer(context: ContainerContext, id: string): Promise<void> {
  const stored = context.store.byId(id)
  await releaseEndpoints(context, id)
  await releaseMounts(context, id, stored?.record.mounts ?? [], { removeAnonymous: true })
  await rm(directoryOf(context, id), { recursive: true, force: true })
  context.store.delete(id)
}

/** A name held by a create whose process was killed is free. */
async function dropDeadNamesake(context: ContainerContext, name: string): Promise<void> {
  const namesake = context.store.resolve(name)
  if (namesake?.name !== name || namesake.state.phase !== 'creating') return
  const { holder } = namesake.state
  if (holder && processStart(holder.pid) === holder.start) return
  await using _lock = await lockContainer(context, namesake.id)
  if (context.store.byId(namesake.id)?.state.phase === 'creating') await discardContainer(context, namesake.id)
}

async function rootLowers(context: ContainerContext, image: Image): Promise<readonly string[]> {
  return (await (await context.images()).root(image.id)).lowers
}

/** The merged root shows the attributes of the upper directory: they are those of the image's own root. */
function makeDirectories(directory: string, lowers: readonly string[]): void {
  mkdirSync(directory, { mode: 0o700 })
  mkdirSync(`${directory}/work`, { mode: 0o700 })
  mkdirSync(`${directory}/upper`, { mode: 0o755 })
  if (lowers[0] === undefined) return
  const root = statSync(lowers[0])
  chownSync(`${directory}/upper`, root.uid, root.gid)
  chmodSync(`${directory}/upper`, root.mode & 0o7777)
}

async function allocateEndpoints(
  context: ContainerContext,
  id: string,
  spec: ContainerSpec,
  hostname: string,
): Promise<readonly string[]> {
  if (spec.network.kind !== 'networks') return []
  const networks = await context.networks()
  const order: string[] = []
  for (const endpoint of spec.network.endpoints) {
    const made = await networks.allocate(id, endpoint, endpointNames(spec.name, id, hostname))
    if (order.includes(made.networkId)) {
      throw new TcomposeError('INVALID', `container ${spec.name} names network ${made.networkName} twice`)
    }
    order.push(made.networkId)
  }
  return order
}
