import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readRootFile, resolveRootPath } from '../../../src/runtime/root-reader.ts'

let base = ''
beforeEach(() => {
  base = mkdtempSync(`${tmpdir()}/tcompose-root-reader-`)
  for (const layer of ['top', 'bottom']) mkdirSync(`${base}/${layer}/etc`, { recursive: true })
})
afterEach(() => rmSync(base, { recursive: true, force: true }))

const layers = () => [`${base}/top`, `${base}/bottom`]

test('the topmost layer that has the file gives it', () => {
  writeFileSync(`${base}/bottom/etc/passwd`, 'bottom')
  expect(readRootFile(layers(), '/etc/passwd')).toBe('bottom')
  writeFileSync(`${base}/top/etc/passwd`, 'top')
  expect(readRootFile(layers(), '/etc/passwd')).toBe('top')
})

test('a link stays inside the root, absolute or with too many dots', () => {
  writeFileSync(`${base}/outside`, 'of the host')
  mkdirSync(`${base}/bottom/other`)
  writeFileSync(`${base}/bottom/other/passwd`, 'inside')
  symlinkSync('/other/passwd', `${base}/top/etc/passwd`)
  expect(readRootFile(layers(), '/etc/passwd')).toBe('inside')
  symlinkSync(`${base}/outside`, `${base}/top/etc/absolute`)
  expect(readRootFile(layers(), '/etc/absolute')).toBeUndefined()
  symlinkSync('../../../../../../outside', `${base}/top/etc/dots`)
  expect(readRootFile(layers(), '/etc/dots')).toBeUndefined()
})

test('a directory that is a link in the upper layer hides the directory below', () => {
  writeFileSync(`${base}/bottom/etc/passwd`, 'hidden')
  rmSync(`${base}/top/etc`, { recursive: true })
  mkdirSync(`${base}/top/new`)
  symlinkSync('new', `${base}/top/etc`)
  expect(readRootFile(layers(), '/etc/passwd')).toBeUndefined()
  writeFileSync(`${base}/top/new/passwd`, 'seen')
  expect(readRootFile(layers(), '/etc/passwd')).toBe('seen')
})

test('a link to itself is an error, a directory and a missing layer are nothing', () => {
  symlinkSync('loop', `${base}/top/etc/loop`)
  expect(() => readRootFile(layers(), '/etc/loop')).toThrow('too many symbolic links')
  expect(readRootFile(layers(), '/etc')).toBeUndefined()
  expect(readRootFile([`${base}/none`], '/etc/passwd')).toBeUndefined()
})

test('a path is resolved to one without links', () => {
  mkdirSync(`${base}/bottom/data/sub`, { recursive: true })
  symlinkSync('/data', `${base}/top/alias`)
  symlinkSync('../../../alias/sub', `${base}/top/etc/way`)
  expect(resolveRootPath(layers(), 'etc/way')).toBe('/data/sub')
  expect(resolveRootPath(layers(), '/')).toBe('/')
  expect(resolveRootPath(layers(), 'etc/none')).toBeUndefined()
})
