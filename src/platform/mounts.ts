import { readFileSync } from 'node:fs'

/** A line of /proc/self/mountinfo; only what is used here. */
export interface MountEntry {
  readonly mountPoint: string
  readonly type: string
  readonly source: string
  /** Options of the file system, not of the mount: for cgroup v1 its controllers. */
  readonly superOptions: readonly string[]
}

/** All mounts of our mount namespace, in the order they were made. */
export function readMounts(): readonly MountEntry[] {
  return parseMountInfo(readFileSync('/proc/self/mountinfo', 'utf8'))
}

/** Fields: id, parent, device, root, mount point, options, optional ones up to `-`, type, source, super options. */
export function parseMountInfo(text: string): readonly MountEntry[] {
  return text.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ')
    const mountPoint = before.split(' ')[4]
    const [type = '', source = '', superOptions = ''] = after.split(' ')
    if (mountPoint === undefined || type === '') return []
    return [{ mountPoint: plain(mountPoint), type, source: plain(source), superOptions: superOptions.split(',') }]
  })
}

/** Blanks and backslashes are written in octal. */
function plain(text: string): string {
  return text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}
