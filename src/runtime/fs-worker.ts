import { type ChildProcess, type StdioOptions, spawn, spawnSync } from 'node:child_process'
import { PassThrough, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Digest } from '../base/digest.ts'
import { type ErrorCode, isTcomposeError, TcomposeError } from '../base/errors.ts'
import { nativePath } from './native.ts'

/**
 * Where the worker works. It first makes the target its root (chroot), so that no path and no symbolic link inside can
 * lead out of it; paths are then absolute within the target.
 */
export type FsTarget =
  /** A directory of the host. */
  | { readonly kind: 'directory'; readonly path: string }
  /** The root of a running process, in its mount namespace: volumes and tmpfs are seen as it sees them. */
  | { readonly kind: 'process'; readonly pid: number; readonly pidStart?: string }
  /**
   * An overlay mounted for this call alone, in a private mount namespace. Lowers top first. Without `upper` it is
   * read-only. `binds` are mounted over it in order where their target exists (volumes of a stopped container).
   */
  | {
      readonly kind: 'overlay'
      readonly lowers: readonly string[]
      readonly upper?: string
      readonly work?: string
      readonly binds?: readonly { readonly source: string; readonly target: string; readonly readOnly?: boolean }[]
    }

export interface FsStat {
  /** Last component of the path that was asked for. */
  readonly name: string
  readonly sizeBytes: number
  /** st_mode, type bits included. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly mtimeNs: string
  readonly ino: string
  readonly nlink: number
  readonly rdev: number
  /** For a symbolic link: where it leads, as an absolute path inside the target; else ''. */
  readonly linkTarget: string
  /** The text of a symbolic link as it stands; else ''. */
  readonly link: string
  /** Absolute path inside the target after following symbolic links. */
  readonly resolved: string
}

export interface FsEntry extends Omit<FsStat, 'linkTarget' | 'resolved'> {
  /** Relative to the listed directory. */
  readonly path: string
}

export interface UnpackOptions {
  /**
   * `plain`: entries are put below the directory as they are (cp, ADD).
   * `layer`: the directory becomes an overlay lower: `.wh.` names turn into overlay whiteouts.
   * `merged`: a layer is applied to a mounted overlay: `.wh.` names delete.
   */
  readonly mode?: 'plain' | 'layer' | 'merged'
  /** Give everything to this owner instead of the archive's. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined
  /** Make the destination directory when it is missing (mode 0755, `owner`). */
  readonly makeDirectory?: boolean
  /** Refuse to replace a directory by something else and the other way round. */
  readonly keepKinds?: boolean
  /** Write what is needed to reproduce the archive bit by bit from the directory to this file of the host. */
  readonly skeleton?: string
  /** Upper bound of unpacked bytes; default 64 GiB. */
  readonly maxBytes?: number
  /** Upper bound of entries; default 10 million. */
  readonly maxEntries?: number
}

export interface UnpackResult {
  /** sha256 of the tar stream. */
  readonly digest: Digest
  /** sha256 of what came in: of the compressed stream, if it was. */
  readonly inputDigest: Digest
  /** Length of the tar stream. */
  readonly tarBytes: number
  /** Sum of the sizes of its regular files. */
  readonly sizeBytes: number
  readonly entries: number
  /** Mode layer: whether it neither links into lower layers nor uses directories that it does not list. */
  readonly standalone: boolean
}

/** A part of a regular file, read by the worker itself. */
export interface FileSlice {
  readonly fd: number
  readonly offset: number
  readonly length: number
}

export interface PackOptions {
  /** `layer`: overlay whiteouts and opaque directories become `.wh.` entries. Default plain. */
  readonly mode?: 'plain' | 'layer'
  /** Name of the topmost entry; default the last component of the path. '' leaves it out: entries of its content only. */
  readonly name?: string
  /** Whether a symbolic link at the path itself is followed; links on the way always are. Default false. */
  readonly follow?: boolean
  /** Absolute paths inside the target that are left out, with all below. */
  readonly exclude?: readonly string[]
  /** Later modification times become this one (seconds since 1970). */
  readonly maxMtime?: number | undefined
}

export interface PackDigest {
  readonly digest: Digest
  readonly tarBytes: number
  readonly sizeBytes: number
  readonly entries: number
}

export interface CopyOptions {
  /** Host directory below which the copy goes; `toPath` is resolved inside it. */
  readonly to: string
  readonly toPath?: string
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined
  /** Only when the destination has no entries yet; otherwise nothing is done. */
  readonly ifEmpty?: boolean
  /** Give the destination directory itself the owner, mode and xattrs of the source. Default true. */
  readonly rootAttributes?: boolean
}

/** What stands in an upper directory: a path was added, changed or deleted relative to the lowers. */
export interface FsChange {
  readonly kind: 'A' | 'C' | 'D'
  readonly path: string
}

/** A tar of `path` as a stream; a failure of the worker destroys it with that error. */
export function packTree(target: FsTarget, path: string, options: PackOptions = {}, signal?: AbortSignal): Readable {
  return streamOut([...targetArgs(target), 'pack', path, ...packArgs(options)], signal)
}

/** The digest and sizes of what `packTree` would give, without the stream leaving the worker. */
export async function digestTree(
  target: FsTarget,
  path: string,
  options: PackOptions = {},
  signal?: AbortSignal,
): Promise<PackDigest> {
  const args = [...targetArgs(target), 'pack', path, ...packArgs(options), '--digest-only']
  const result = JSON.parse(await textOut(args, signal)) as RawSummary
  return summary(result)
}

/**
 * Unpacks a tar stream, or a slice of a file, plain or in gzip, below the directory `path`.
 * @throws TcomposeError INVALID naming the entry for archives that are broken or try to leave the root;
 *   NOT_FOUND when the directory is missing
 */
export async function unpackTar(
  target: FsTarget,
  path: string,
  tar: Readable | FileSlice,
  options: UnpackOptions = {},
  signal?: AbortSignal,
): Promise<UnpackResult> {
  const args = [...targetArgs(target), 'unpack', path, '--mode', options.mode ?? 'plain']
  if (options.owner) args.push('--owner', `${options.owner.uid}:${options.owner.gid}`)
  if (options.makeDirectory) args.push('--make-directory')
  if (options.keepKinds) args.push('--keep-kinds')
  if (options.skeleton !== undefined) args.push('--skeleton', options.skeleton)
  if (options.maxBytes !== undefined) args.push('--max-bytes', String(options.maxBytes))
  if (options.maxEntries !== undefined) args.push('--max-entries', String(options.maxEntries))
  if ('offset' in tar) {
    args.push('--offset', String(tar.offset), '--length', String(tar.length))
    return unpacked(await textOut(args, signal, tar.fd))
  }
  const child = start(args, ['pipe', 'pipe', 'pipe'], signal)
  const output = collect(child)
  const ended = finished(child, signal)
  const feeding = pipeline(tar, child.stdin as NodeJS.WritableStream).catch((error: unknown) => {
    // A worker that stopped reading says why by itself; a source that failed is the reason.
    if (
      (error as { code?: string }).code === 'EPIPE' ||
      (error as { code?: string }).code === 'ERR_STREAM_PREMATURE_CLOSE'
    )
      return undefined
    child.kill('SIGKILL')
    return { error }
  })
  const [fed, done] = await Promise.allSettled([feeding, ended])
  if (fed.status === 'fulfilled' && fed.value) throw fed.value.error
  if (done.status === 'rejected') throw done.reason
  return unpacked(await output)
}

function unpacked(text: string): UnpackResult {
  const raw = JSON.parse(text) as RawSummary & { readonly inputDigest: string; readonly standalone: boolean }
  return { ...summary(raw), inputDigest: `sha256:${raw.inputDigest}`, standalone: raw.standalone }
}

/** The tar stream that a layer was unpacked from, bit by bit. `skeleton` as `unpackTar` wrote it. */
export function assembleTar(source: string | FsTarget, skeleton: string, signal?: AbortSignal): Readable {
  const target = typeof source === 'string' ? ({ kind: 'directory', path: source } as const) : source
  return streamOut([...targetArgs(target), 'assemble', '--skeleton', skeleton], signal)
}

/** As `assembleTar`, only its digest. */
export async function digestAssembled(
  source: string | FsTarget,
  skeleton: string,
  signal?: AbortSignal,
): Promise<PackDigest> {
  const target = typeof source === 'string' ? ({ kind: 'directory', path: source } as const) : source
  const args = [...targetArgs(target), 'assemble', '--skeleton', skeleton, '--digest-only']
  return summary(JSON.parse(await textOut(args, signal)) as RawSummary)
}

/** @throws TcomposeError NOT_FOUND */
export async function statPath(
  target: FsTarget,
  path: string,
  options: { readonly follow?: boolean; readonly signal?: AbortSignal | undefined } = {},
): Promise<FsStat> {
  const args = [...targetArgs(target), 'stat', path]
  if (options.follow) args.push('--follow')
  return JSON.parse(await textOut(args, options.signal)) as FsStat
}

/** Content of a small regular file. @throws TcomposeError NOT_FOUND; INVALID when it is larger than `maxBytes` */
export async function readFileIn(
  target: FsTarget,
  path: string,
  options: { readonly maxBytes?: number; readonly signal?: AbortSignal | undefined } = {},
): Promise<Buffer> {
  const args = [...targetArgs(target), 'cat', path, '--max-bytes', String(options.maxBytes ?? 16 << 20)]
  const child = start(args, ['ignore', 'pipe', 'pipe'], options.signal)
  const output = collectBytes(child)
  await finished(child, options.signal)
  return output
}

/** Entries of a directory in the order of their names; with `recursive` depth first. */
export async function listDirectory(
  target: FsTarget,
  path: string,
  options: { readonly recursive?: boolean; readonly signal?: AbortSignal | undefined } = {},
): Promise<readonly FsEntry[]> {
  const args = [...targetArgs(target), 'list', path]
  if (options.recursive) args.push('--recursive')
  return lines(await textOut(args, options.signal)).map((line) => JSON.parse(line) as FsEntry)
}

/** Copies a file or the content of a directory with owners, modes, times, xattrs and hard links. */
export async function copyTree(
  source: FsTarget,
  path: string,
  options: CopyOptions,
  signal?: AbortSignal,
): Promise<{ readonly copied: boolean; readonly sizeBytes: number; readonly entries: number }> {
  const args = [...targetArgs(source), 'copy', path, '--to', options.to]
  if (options.toPath !== undefined) args.push('--to-path', options.toPath)
  if (options.owner) args.push('--owner', `${options.owner.uid}:${options.owner.gid}`)
  if (options.ifEmpty) args.push('--if-empty')
  if (options.rootAttributes === false) args.push('--no-root-attributes')
  const result = JSON.parse(await textOut(args, signal)) as { copied: boolean; size: number; entries: number }
  return { copied: result.copied, sizeBytes: result.size, entries: result.entries }
}

/** Removes directories of the host with all below, whatever their modes; links are not followed; none is no error. */
export async function removeTree(paths: string | readonly string[], signal?: AbortSignal): Promise<void> {
  const list = typeof paths === 'string' ? [paths] : paths
  if (list.length > 0) await textOut(['remove', ...list], signal)
}

/** Removes one path inside a target. @throws TcomposeError NOT_FOUND */
export async function removePath(target: FsTarget, path: string, signal?: AbortSignal): Promise<void> {
  await textOut([...targetArgs(target), 'remove-in', path], signal)
}

/** Space that directories of the host take: allocated blocks and apparent sizes, hard links counted once. */
export async function diskUsage(
  path: string,
  signal?: AbortSignal,
): Promise<{ readonly allocatedBytes: number; readonly sizeBytes: number; readonly entries: number }> {
  const result = JSON.parse(await textOut(['--root', path, 'du', '/'], signal)) as RawUsage
  return { allocatedBytes: result.allocated, sizeBytes: result.size, entries: result.entries }
}

/** What a container changed: walks `upper` and looks up each path in the lowers. Sorted by path. */
export async function diffUpper(
  upper: string,
  lowers: readonly string[],
  signal?: AbortSignal,
): Promise<readonly FsChange[]> {
  const args = [...targetArgs({ kind: 'overlay', lowers }), 'diff', '/', '--against', upper]
  return lines(await textOut(args, signal)).map((line) => JSON.parse(line) as FsChange)
}

/**
 * Tells the file system that the subdirectories of these directories have nothing to do with each other (ext4 then gives
 * each a part of the disk of its own, which makes writing where something was just removed many times faster). Once.
 */
export function spreadDirectories(paths: readonly string[]): void {
  if (paths.length === 0) return
  try {
    spawnSync(nativePath('tcompose-fs'), ['spread', ...paths], { stdio: 'ignore', env: {} })
  } catch (error) {
    // It is advice; whatever needs the worker will say that it has not been built.
    if (!isTcomposeError(error, 'UNAVAILABLE')) throw error
  }
}

/**
 * Writes the file system of `directory` to the disk and then removes the `marker` files of the host; runs on by itself
 * when this process ends.
 */
export function syncInBackground(directory: string, markers: readonly string[]): void {
  const child = spawn(nativePath('tcompose-fs'), ['sync', directory, ...markers], { stdio: 'ignore', detached: true })
  child.on('error', () => {})
  child.unref()
}

interface RawSummary {
  readonly digest: string
  readonly bytes: number
  readonly size: number
  readonly entries: number
}

interface RawUsage {
  readonly allocated: number
  readonly size: number
  readonly entries: number
}

function summary(raw: RawSummary): PackDigest {
  return { digest: `sha256:${raw.digest}`, tarBytes: raw.bytes, sizeBytes: raw.size, entries: raw.entries }
}

function targetArgs(target: FsTarget): string[] {
  switch (target.kind) {
    case 'directory':
      return ['--root', target.path]
    case 'process': {
      const args = ['--pid', String(target.pid)]
      if (target.pidStart !== undefined) args.push('--pid-start', target.pidStart)
      return args
    }
    case 'overlay': {
      const args = target.lowers.flatMap((lower) => ['--lower', lower])
      if (target.upper !== undefined) args.push('--upper', target.upper)
      if (target.work !== undefined) args.push('--work', target.work)
      for (const bind of target.binds ?? []) args.push(bind.readOnly ? '--bind-ro' : '--bind', bind.source, bind.target)
      return args
    }
  }
}

function packArgs(options: PackOptions): string[] {
  const args = ['--mode', options.mode ?? 'plain']
  if (options.name !== undefined) args.push('--name', options.name)
  if (options.follow) args.push('--follow')
  if (options.maxMtime !== undefined) args.push('--max-mtime', String(options.maxMtime))
  for (const path of options.exclude ?? []) args.push('--exclude', path)
  return args
}

function start(args: readonly string[], stdio: StdioOptions, signal: AbortSignal | undefined): ChildProcess {
  if (signal?.aborted) throw new TcomposeError('CANCELED', 'interrupted', { cause: signal.reason })
  const child = spawn(nativePath('tcompose-fs'), args, { stdio, env: {} })
  const abort = () => child.kill('SIGKILL')
  signal?.addEventListener('abort', abort, { once: true })
  child.once('close', () => signal?.removeEventListener('abort', abort))
  return child
}

async function textOut(
  args: readonly string[],
  signal?: AbortSignal,
  stdin: number | 'ignore' = 'ignore',
): Promise<string> {
  const child = start(args, [stdin, 'pipe', 'pipe'], signal)
  const output = collect(child)
  await finished(child, signal)
  return output
}

function streamOut(args: readonly string[], signal?: AbortSignal): Readable {
  const child = start(args, ['ignore', 'pipe', 'pipe'], signal)
  const out = new PassThrough({ highWaterMark: 1 << 20 })
  const ended = finished(child, signal)
  ended.catch(() => {})
  child.stdout?.on('data', (chunk: Buffer) => {
    if (!out.write(chunk)) child.stdout?.pause()
  })
  out.on('drain', () => child.stdout?.resume())
  // Whoever stops reading ends the worker.
  out.once('close', () => child.kill('SIGKILL'))
  child.stdout?.once('end', () => {
    ended.then(
      () => out.end(),
      (error: Error) => out.destroy(error),
    )
  })
  return out
}

async function collectBytes(child: ChildProcess): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of child.stdout as Readable) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

async function collect(child: ChildProcess): Promise<string> {
  return (await collectBytes(child)).toString()
}

const CODES: Readonly<Record<number, ErrorCode>> = {
  65: 'INVALID',
  66: 'NOT_FOUND',
  67: 'CONFLICT',
  68: 'UNSUPPORTED',
  69: 'DENIED',
}

function finished(child: ChildProcess, signal: AbortSignal | undefined): Promise<void> {
  const errors: Buffer[] = []
  child.stderr?.on('data', (chunk: Buffer) => errors.push(chunk))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, killedBy) => {
      if (code === 0) return resolve()
      if (signal?.aborted) return reject(new TcomposeError('CANCELED', 'interrupted', { cause: signal.reason }))
      const text = Buffer.concat(errors).toString().trim()
      const message = text || `the file worker ended with ${killedBy ?? `exit code ${code}`}`
      reject(new TcomposeError(CODES[code ?? -1] ?? 'FAILED', message))
    })
  })
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '')
}
