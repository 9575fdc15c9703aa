import { randomUUID } from 'node:crypto'
import { createWriteStream, existsSync, mkdirSync, statSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import type { Digest } from '../../base/digest.ts'
import { familiarReference, parseReference, withDefaultTag } from '../../base/reference.ts'
import { type FsTarget, packTree, unpackTar } from '../../runtime/fs-worker.ts'
import type { ImageConfig } from '../images/types.ts'
import type { BuildRun } from './build-run.ts'
import { keepTimes } from './keep-times.ts'
import { lowersOf } from './layer-writer.ts'
import { isoOf } from './stage.ts'
import type { StageState } from './stage-state.ts'
import type { BuildOutput } from './types.ts'

/** Makes what the request asks for. @returns the image's id, where there is one */
export async function writeOutputs(run: BuildRun, state: StageState): Promise<Digest | undefined> {
  const outputs = run.request.outputs ?? [{ kind: 'image' }]
  const tags = run.request.tags ?? []
  let imageId: Digest | undefined
  const wanted = outputs.some((output) => output.kind === 'image')
  if (outputs.some((output) => output.kind === 'image' || output.kind === 'oci' || output.kind === 'docker')) {
    imageId = await exportImage(run, imageConfig(run, state), wanted ? tags : [])
  }
  for (const output of outputs) {
    if (output.kind === 'image' || !imageId) {
      if (output.kind === 'tar' || output.kind === 'local') await writeFiles(run, state, output)
      continue
    }
    if (output.kind === 'tar' || output.kind === 'local') await writeFiles(run, state, output)
    else await saveImage(run, imageId, output, tags)
  }
  return wanted ? imageId : undefined
}

function imageConfig(run: BuildRun, state: StageState): ImageConfig {
  const labels = { ...state.config.Labels, ...run.request.labels }
  return {
    created: run.epoch === undefined ? run.startedAt.toISOString() : isoOf(run.epoch),
    ...(state.author === undefined ? {} : { author: state.author }),
    architecture: run.platform.architecture,
    os: run.platform.os,
    ...(run.platform.variant === undefined ? {} : { variant: run.platform.variant }),
    config: { ...state.config, ...(Object.keys(labels).length > 0 ? { Labels: labels } : {}) },
    rootfs: { type: 'layers', diff_ids: state.layers.map((layer) => layer.diffId) },
    history: state.history,
  }
}

async function exportImage(run: BuildRun, config: ImageConfig, tags: readonly string[]): Promise<Digest> {
  const started = performance.now()
  const id = 'exporting'
  const name = 'exporting to image'
  run.onEvent({ kind: 'step', id, name, state: 'started' })
  const before = tags[0] === undefined ? undefined : await run.images.find(tags[0])
  const image = await run.images.put(keepTimes(before?.config, config), { references: tags })
  for (const tag of tags) {
    const shown = familiarReference(withDefaultTag(parseReference(tag)))
    run.onEvent({ kind: 'log', id, stream: 'stdout', text: `naming to ${shown}\n` })
  }
  run.onEvent({ kind: 'step', id, name, state: 'done', ms: performance.now() - started })
  return image.id
}

async function saveImage(
  run: BuildRun,
  imageId: Digest,
  output: Extract<BuildOutput, { kind: 'oci' | 'docker' | 'tar' }>,
  tags: readonly string[],
): Promise<void> {
  const format = output.kind === 'oci' ? 'oci' : 'docker'
  // The archive names the image by its tags; without any it has its id alone.
  const known = tags.filter((tag) => tag !== '')
  if (known.length > 0) for (const tag of known) await run.images.tag(imageId, tag)
  await run.images.save(known.length > 0 ? known : [imageId], createWriteStream(output.path), { format })
}

/** The files alone, into a directory or a tar. */
async function writeFiles(
  run: BuildRun,
  state: StageState,
  output: { readonly kind: 'local' | 'oci' | 'docker' | 'tar'; readonly path: string },
): Promise<void> {
  const lowers = lowersOf(state.layers)
  const source: FsTarget =
    lowers.length === 0
      ? { kind: 'directory', path: (await run.layers.empty()).directory }
      : lowers.length === 1
        ? { kind: 'directory', path: lowers[0] as string }
        : { kind: 'overlay', lowers }
  const tar = packTree(source, '/', { name: '', maxMtime: run.epoch }, run.signal)
  if (output.kind === 'local') {
    if (!existsSync(output.path) || !statSync(output.path).isDirectory()) mkdirSync(output.path, { recursive: true })
    await unpackTar({ kind: 'directory', path: output.path }, '/', tar, { mode: 'plain' }, run.signal)
    return
  }
  const temporary = `${output.path}.${randomUUID()}.tmp`
  const { rename, rm } = await import('node:fs/promises')
  try {
    await pipeline(tar, createWriteStream(temporary), { signal: run.signal })
    await rename(temporary, output.path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}
