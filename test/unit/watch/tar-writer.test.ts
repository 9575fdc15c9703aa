import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type TarEntry, writeTar } from '../../../src/watch/tar-writer.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'tct-tar-'))
  mkdirSync(join(dir, 'in'))
  mkdirSync(join(dir, 'out'))
})
afterEach(() => rmSync(dir, { recursive: true }))

async function roundTrip(entries: readonly TarEntry[]): Promise<string[]> {
  const missing: string[] = []
  const chunks: Uint8Array[] = []
  for await (const chunk of writeTar(entries, (entry) => missing.push(entry.name))) chunks.push(chunk)
  execFileSync('tar', ['-xf', '-', '-C', join(dir, 'out')], { input: Buffer.concat(chunks) })
  return missing
}

test('files, modes, folders, links and long names come out as they went in', async () => {
  const long = `${'d'.repeat(120)}/${'f'.repeat(150)}`
  writeFileSync(join(dir, 'in/a'), 'hello')
  chmodSync(join(dir, 'in/a'), 0o751)
  writeFileSync(join(dir, 'in/empty'), '')
  writeFileSync(join(dir, 'in/block'), 'x'.repeat(512))
  mkdirSync(join(dir, 'in/folder'))
  symlinkSync('t'.repeat(130), join(dir, 'in/link'))
  const missing = await roundTrip([
    { source: join(dir, 'in/a'), name: 'a' },
    { source: join(dir, 'in/empty'), name: 'empty' },
    { source: join(dir, 'in/block'), name: 'block' },
    { source: join(dir, 'in/folder'), name: 'folder' },
    { source: join(dir, 'in/link'), name: 'link' },
    { source: join(dir, 'in/a'), name: long },
    { source: join(dir, 'in/gone'), name: 'gone' },
  ])
  const out = join(dir, 'out')
  expect(readFileSync(join(out, 'a'), 'utf8')).toBe('hello')
  expect(lstatSync(join(out, 'a')).mode & 0o777).toBe(0o751)
  expect(readFileSync(join(out, 'empty'), 'utf8')).toBe('')
  expect(readFileSync(join(out, 'block'), 'utf8')).toHaveLength(512)
  expect(lstatSync(join(out, 'folder')).isDirectory()).toBe(true)
  expect(readlinkSync(join(out, 'link'))).toBe('t'.repeat(130))
  expect(readFileSync(join(out, long), 'utf8')).toBe('hello')
  expect(missing).toEqual(['gone'])
})
