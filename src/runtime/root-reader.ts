import { closeSync, constants, fstatSync, openSync, readlinkSync, readSync } from 'node:fs'
import { errnoOf, TcomposeError } from '../base/errors.ts'

/** Linux's O_PATH, which Node does not name. */
const O_PATH = 0o10000000
const MAX_LINKS = 40
const MAX_FILE_BYTES = 16 << 20

/**
 * Content of a regular file of a container's root, or undefined when there is none.
 *
 * `layers` are overlay directories from top to bottom, or the one root of a running container (`/proc/PID/root`). Every
 * component is opened from its parent without following links, and links are resolved here, inside the root: no link
 * and no race in hostile content leads out of it. Opaque directories are taken for merged ones, since Node reads no
 * xattrs; a file that only a lower layer has below one is then seen although the overlay hides it.
 * @throws TcomposeError INVALID for a file of more than 16 MiB or too many links
 */
export function readRootFile(layers: readonly string[], path: string): string | undefined {
  return withOpener((open) => {
    const place = walk(openRoots(layers, open), path, open)
    return place?.file === undefined ? undefined : readAll(place.file, path, open)
  })
}

/**
 * The path that `path` stands for once every link is followed inside the root: `/a/b`, without links; undefined when
 * it does not exist there. `layers` as for `readRootFile`.
 */
export function resolveRootPath(layers: readonly string[], path: string): string | undefined {
  return withOpener((open) => {
    const place = walk(openRoots(layers, open), path, open)
    return place && `/${place.names.join('/')}`
  })
}

function withOpener<T>(work: (open: Open) => T): T {
  const opened: number[] = []
  const open: Open = (name, flags) => {
    try {
      const fd = openSync(name, flags)
      opened.push(fd)
      return fd
    } catch (error) {
      const code = errnoOf(error)
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
      throw error
    }
  }
  try {
    return work(open)
  } finally {
    for (const fd of opened) closeSync(fd)
  }
}

function openRoots(layers: readonly string[], open: Open): readonly number[] {
  return layers.map((layer) => open(layer, O_PATH | constants.O_DIRECTORY)).filter((fd) => fd !== undefined)
}

type Open = (name: string, flags: number) => number | undefined

interface Place {
  readonly names: readonly string[]
  /** Absent for a directory. */
  readonly file?: number
}

function walk(roots: readonly number[], path: string, open: Open): Place | undefined {
  if (roots.length === 0) return undefined
  const todo = path.split('/').reverse()
  /** The merged directories from the root down to where we are. */
  let trail: { readonly name: string; readonly fds: readonly number[] }[] = []
  let links = 0
  while (todo.length > 0) {
    const name = todo.pop()
    if (name === undefined || name === '' || name === '.') continue
    if (name === '..') {
      trail.pop()
      continue
    }
    const found = lookUp(trail.at(-1)?.fds ?? roots, name, open)
    if (found === undefined) return undefined
    if (found.kind === 'directory') trail.push({ name, fds: found.fds })
    else if (found.kind === 'file') {
      if (todo.some((rest) => rest !== '')) return undefined
      return { names: [...trail.map((step) => step.name), name], file: found.fd }
    } else {
      if (++links > MAX_LINKS) throw new TcomposeError('INVALID', `too many symbolic links at ${path}`)
      if (found.target.startsWith('/')) trail = []
      todo.push(...found.target.split('/').reverse())
    }
  }
  return { names: trail.map((step) => step.name) }
}

type Found =
  | { readonly kind: 'directory'; readonly fds: readonly number[] }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'file'; readonly fd: number }

function lookUp(parents: readonly number[], name: string, open: Open): Found | undefined {
  const directories: number[] = []
  for (const parent of parents) {
    const place = `/proc/self/fd/${parent}/${name}`
    const fd = open(place, O_PATH | constants.O_NOFOLLOW)
    if (fd === undefined) continue
    const stats = fstatSync(fd)
    if (stats.isDirectory()) {
      directories.push(fd)
      continue
    }
    // Whatever is no directory hides what lies below: a whiteout everything, a file the rest of a merge.
    if (directories.length > 0 || (stats.isCharacterDevice() && stats.rdev === 0)) break
    return stats.isSymbolicLink() ? { kind: 'link', target: readlinkSync(place) } : { kind: 'file', fd }
  }
  return directories.length > 0 ? { kind: 'directory', fds: directories } : undefined
}

function readAll(fd: number, path: string, open: Open): string | undefined {
  const stats = fstatSync(fd)
  if (!stats.isFile()) return undefined
  if (stats.size > MAX_FILE_BYTES) throw new TcomposeError('INVALID', `${path} of the container is too large to read`)
  const readable = open(`/proc/self/fd/${fd}`, constants.O_RDONLY)
  if (readable === undefined) return undefined
  const buffer = Buffer.alloc(Math.min(stats.size, MAX_FILE_BYTES))
  let length = 0
  while (length < buffer.length) {
    const count = readSync(readable, buffer, length, buffer.length - length, null)
    if (count === 0) break
    length += count
  }
  return buffer.toString('utf8', 0, length)
}
