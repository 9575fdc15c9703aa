import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createIgnoreMatcher } from '../../../src/dockerfile/ignore.ts'
import { createContextTree, digestFile } from '../../../src/engine/build/context-tree.ts'
import { resolveSources } from '../../../src/engine/build/copy-sources.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tcompose-context-'))
  mkdirSync(`${root}/dir/sub`, { recursive: true })
  writeFileSync(`${root}/dir/a.txt`, 'a')
  writeFileSync(`${root}/dir/sub/b.txt`, 'b')
  writeFileSync(`${root}/top.txt`, 'top')
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const tree = (patterns: readonly string[] = []) =>
  createContextTree({
    root,
    ignore: createIgnoreMatcher(patterns),
    digests: { of: (path) => digestFile(path), save: () => {} },
    description: 'the build context',
  })
const all = () => true
const names = async (patterns: readonly string[], path = '') => {
  const found: string[] = []
  for await (const { header } of tree(patterns).entries(path, all)) found.push(header.name)
  return found
}

test('what is ignored is not there, with what is let in again', async () => {
  expect(await names(['dir', '!dir/sub/b.txt'])).toEqual(['', 'dir', 'dir/sub', 'dir/sub/b.txt', 'top.txt'])
  expect(await tree(['top.txt']).stat('top.txt')).toBeUndefined()
})

test('links are followed inside the tree and never out of it', async () => {
  symlinkSync('/dir', `${root}/absolute`)
  symlinkSync('../../../../../../etc', `${root}/out`)
  expect(await tree().stat('absolute/a.txt')).toEqual({ kind: 'file', path: 'dir/a.txt' })
  expect(await tree().stat('out/passwd')).toBeUndefined()
})

test('the digest knows names, modes and content, not times', async () => {
  const before = await tree().digest('dir', all)
  utimesSync(`${root}/dir/a.txt`, 5, 5)
  expect(await tree().digest('dir', all)).toBe(before)
  chmodSync(`${root}/dir/a.txt`, 0o600)
  const changed = await tree().digest('dir', all)
  expect(changed).not.toBe(before)
  writeFileSync(`${root}/dir/sub/b.txt`, 'c')
  expect(await tree().digest('dir', all)).not.toBe(changed)
})

test('a name that is missing is an error, a pattern that matches nothing is not', async () => {
  const request = { instruction: 'COPY', exclude: [], parents: false }
  await expect(resolveSources(tree(), { ...request, sources: ['nope'] })).rejects.toThrow(
    'COPY /nope: not found in the build context',
  )
  expect(await resolveSources(tree(), { ...request, sources: ['nope*'] })).toEqual([])
})

test('names lead from the top of the context, whatever stands before them', async () => {
  const request = { instruction: 'COPY', exclude: [], parents: false }
  const found = await resolveSources(tree(), { ...request, sources: ['../../top.txt', '/dir/*.txt'] })
  expect(found.map((source) => source.path)).toEqual(['top.txt', 'dir/a.txt'])
})

test('what is ignored is called so when it is named', async () => {
  const request = { instruction: 'COPY', exclude: [], parents: false, sources: ['top.txt'] }
  await expect(resolveSources(tree(['top.txt']), request)).rejects.toThrow('it is excluded by .dockerignore')
})
