import { posix } from 'node:path'
import { Readable } from 'node:stream'
import { digestOf } from '../../base/digest.ts'
import { TcomposeError } from '../../base/errors.ts'
import { expand } from '../../dockerfile/expand.ts'
import type { AddInstruction, CopyInstruction } from '../../dockerfile/instructions.ts'
import { readRootFile } from '../../runtime/root-reader.ts'
import { resolveUser } from '../../runtime/user.ts'
import { isArchive } from './archive-probe.ts'
import type { BuildRun } from './build-run.ts'
import { parseChmod } from './chmod.ts'
import { type CopySource, resolveSources } from './copy-sources.ts'
import { type CopyItem, performCopy } from './copy-step.ts'
import { captureLayer, lowersOf } from './layer-writer.ts'
import { fetchGit, isGitUrl } from './remote-git.ts'
import { fetchUrl, isHttpUrl } from './remote-url.ts'
import { resolveFrom } from './resolve-from.ts'
import type { SourceTree } from './source-tree.ts'
import type { StepPlace, StepResult } from './stage.ts'
import { expander, lookupIn, type StageState } from './stage-state.ts'
import { stepKey } from './step-cache.ts'
import { showStep } from './step-events.ts'

/** An item with what it counts for in the cache key. */
interface Keyed {
  readonly item: CopyItem
  readonly key: unknown
}

/** COPY and ADD: files from the context, a stage, an image, the Dockerfile itself, the network. */
export async function copyStep(
  run: BuildRun,
  state: StageState,
  instruction: CopyInstruction | AddInstruction,
  place: StepPlace,
): Promise<StepResult> {
  const name = instruction.kind.toUpperCase()
  const ex = expander(state, run.file.escape)
  const word = (text: string) => ex(text).text
  const sources = instruction.sources.map(word)
  const destination = destinationOf(state, word(instruction.destination))
  const count = sources.length + instruction.inline.length
  if (count > 1 && !destination.endsWith('/')) {
    throw new TcomposeError(
      'INVALID',
      `When using ${name} with more than one source file, the destination must be a directory and end with a /`,
    )
  }
  const chmodText = word(instruction.chmod)
  const chmod = chmodText === '' ? undefined : parseChmod(chmodText)
  const chownText = word(instruction.chown)
  const owner = chownText === '' ? undefined : ownerOf(state, chownText)
  const exclude = instruction.exclude.map(word)
  const from = instruction.kind === 'copy' ? instruction.from : ''
  const { tree } = await resolveFrom(run, from, place.stageIndex)
  const parents = instruction.kind === 'copy' && instruction.parents

  await using undo = new AsyncDisposableStack()
  const keyed: Keyed[] = []
  let matches = 0
  for (const source of sources) {
    const remote =
      instruction.kind === 'add' ? await remoteItems(run, state, instruction, source, destination, undo) : undefined
    if (remote) {
      keyed.push(...remote)
      continue
    }
    const found = await resolveSources(tree, { instruction: name, sources: [source], exclude, parents })
    matches += found.length
    for (const each of found) keyed.push(await localItem(instruction, each, exclude))
  }
  if (instruction.kind === 'add' && instruction.checksum !== '' && keyed.some(({ item }) => item.kind === 'source')) {
    throw new TcomposeError('INVALID', "checksum can't be specified for non-HTTP(S) & non-Git sources")
  }
  keyed.push(...inlineItems(state, instruction, run.epoch ?? Math.floor(run.startedAt.getTime() / 1000)))
  // Patterns that match nothing leave an empty directory.
  if (keyed.length === 0) keyed.push({ item: { kind: 'directories' }, key: 'nothing' })
  const below = instruction.link ? [] : state.layers
  const key = stepKey([
    'copy',
    { destination, owner, chmodText, parents, many: count > 1 || matches > 1 },
    keyed.map((each) => each.key),
    instruction.link ? 'link' : below.map((layer) => layer.key),
  ])
  const layer = await showStep(run, place, () =>
    run.cache.layer(key, { name: place.name, fresh: place.noCache, signal: run.signal }, () =>
      captureLayer(
        run,
        below,
        (workspace) =>
          performCopy(
            workspace.target,
            {
              items: keyed.map((each) => each.item),
              destination,
              many: count > 1 || matches > 1,
              owner,
              chmod,
              now: run.epoch ?? Math.floor(run.startedAt.getTime() / 1000),
            },
            run.signal,
          ),
        run.signal,
      ),
    ),
  )
  const flags = [
    ...(chownText === '' ? [] : [`--chown=${chownText}`]),
    ...(chmodText === '' ? [] : [`--chmod=${chmodText}`]),
    ...(instruction.link ? ['--link'] : []),
  ]
  const shown = [...sources, ...instruction.inline.map((file) => `<<${file.name}`)]
  return {
    state: { ...state, layers: [...state.layers, layer] },
    createdBy: `${[name, ...flags, ...shown, destination].join(' ')} # buildkit`,
    empty: false,
  }
}

/** Absolute; `/` at its end says directory, as do `.` and nothing at all. */
function destinationOf(state: StageState, text: string): string {
  const isDirectory = text === '' || text.endsWith('/') || text === '.' || text.endsWith('/.')
  const path = posix.resolve('/', state.config.WorkingDir ?? '/', text)
  return isDirectory && path !== '/' ? `${path}/` : path
}

/** @throws TcomposeError INVALID for a name nobody bears */
function ownerOf(state: StageState, text: string): { readonly uid: number; readonly gid: number } {
  const lowers = lowersOf(state.layers)
  const files = { passwd: readRootFile(lowers, '/etc/passwd'), group: readRootFile(lowers, '/etc/group') }
  const { uid, gid } = resolveUser(text, [], files)
  // A number alone stands for the group too, even where the image gives that user another.
  return /^\d+$/.test(text) ? { uid, gid: uid } : { uid, gid }
}

async function localItem(
  instruction: CopyInstruction | AddInstruction,
  source: CopySource,
  exclude: readonly string[],
): Promise<Keyed> {
  const digest = await source.tree.digest(source.found.path, source.keep)
  const base = [source.path, source.found.kind, digest, exclude, source.parents]
  if (instruction.kind === 'add' && source.found.kind === 'file' && instruction.unpack !== false) {
    if (await isArchive(await headOf(source))) {
      const open = () => Readable.from(contentOf(source), { objectMode: false })
      return { item: { kind: 'archive', open }, key: ['archive', digest] }
    }
    if (instruction.unpack === true) {
      throw new TcomposeError('INVALID', `ADD --unpack: ${source.path} is no archive`)
    }
  }
  const name = posix.basename(source.path)
  const key =
    source.found.kind === 'directory' && source.parents.length === 0 ? ['dir', ...base.slice(1)] : [name, ...base]
  const parentKeys = await Promise.all(
    source.parents.map(async ({ path, name: shown }) => [
      shown,
      await source.tree.digest(path, (below) => below === ''),
    ]),
  )
  return { item: { kind: 'source', source }, key: [...key, parentKeys] }
}

async function* contentOf(source: CopySource): AsyncGenerator<Uint8Array> {
  for await (const entry of source.tree.entries(source.found.path, () => true)) {
    yield* entry.body
    return
  }
}

async function headOf(source: CopySource): Promise<() => AsyncIterable<Uint8Array>> {
  return () => contentOf(source)
}

function inlineItems(
  state: StageState,
  instruction: CopyInstruction | AddInstruction,
  mtime: number,
): readonly Keyed[] {
  return instruction.inline.map((file) => {
    const text = file.expand ? expand(file.content, lookupIn(state), { skipQuotes: true }).text : file.content
    const content = Buffer.from(text)
    const open = async function* () {
      if (content.length > 0) yield content
    }
    const made = { name: file.name, mode: 0o644, mtime, sizeBytes: content.length, open }
    return { item: { kind: 'file', file: made }, key: ['inline', file.name, digestOf(content)] }
  })
}

/** A download or a Git checkout; undefined for a local name. */
async function remoteItems(
  run: BuildRun,
  state: StageState,
  instruction: AddInstruction,
  source: string,
  destination: string,
  undo: AsyncDisposableStack,
): Promise<readonly Keyed[] | undefined> {
  const checksum = expand(instruction.checksum, lookupIn(state), { escape: run.file.escape }).text
  if (isGitUrl(source)) {
    const checkout = await fetchGit(run, source, {
      checksum,
      keepGitDir: instruction.keepGitDir,
      submodules: true,
    })
    undo.use(checkout)
    return await itemsOfTree(checkout.tree, checkout.commit, instruction.exclude)
  }
  if (!isHttpUrl(source)) return undefined
  const file = await fetchUrl(run, source, { checksum, named: destination.endsWith('/') })
  undo.use(file)
  if (instruction.unpack) {
    return [{ item: { kind: 'archive', open: file.read }, key: ['archive', file.digest] }]
  }
  const open = () => file.read() as AsyncIterable<Uint8Array>
  const { name, mtime, sizeBytes, digest } = file
  return [
    { item: { kind: 'file', file: { name, mode: 0o600, mtime, sizeBytes, open } }, key: ['url', name, mtime, digest] },
  ]
}

async function itemsOfTree(tree: SourceTree, commit: string, exclude: readonly string[]): Promise<readonly Keyed[]> {
  const found = await resolveSources(tree, { instruction: 'ADD', sources: ['/'], exclude, parents: false })
  return found.map((source) => ({ item: { kind: 'source', source }, key: ['git', commit, exclude] }))
}
