import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'

const repository = join(import.meta.dirname, '../..')

/** Path of a root file system tarball made by examples/images/make.sh: once per checkout, then kept in dist/. */
export function rootTarball(kind: 'busybox' | 'debian'): string {
  const folder = join(repository, 'dist/test-images')
  const path = join(folder, `${kind}.tar`)
  if (existsSync(path)) return path
  mkdirSync(folder, { recursive: true })
  const own = `${path}.${process.pid}`
  execFileSync('sh', [join(repository, 'examples/images/make.sh'), kind, own], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  renameSync(own, path)
  return path
}
