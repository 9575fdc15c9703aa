import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { bytesEntry, NO_XATTRS, readTar, type TarHeader, writeTar } from '../../../src/engine/build/tar.ts'

const header = (change: Partial<TarHeader>) => ({
  name: 'f',
  kind: 'file' as const,
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime: 1,
  link: '',
  major: 0,
  minor: 0,
  xattrs: NO_XATTRS,
  ...change,
})

async function through(...entries: ReturnType<typeof bytesEntry>[]) {
  const found: { header: TarHeader; text: string }[] = []
  const stream = Readable.from(writeTar(entries), { objectMode: false })
  for await (const entry of readTar(stream)) {
    const chunks: Uint8Array[] = []
    for await (const chunk of entry.body) chunks.push(chunk)
    found.push({ header: entry.header, text: Buffer.concat(chunks).toString() })
  }
  return found
}

test('what is written is read again', async () => {
  const long = `${'d'.repeat(90)}/${'é'.repeat(60)}`
  const xattrs = new Map([['SCHILY.xattr.user.a', Buffer.from('b\n=c')]])
  const found = await through(
    bytesEntry(header({ name: 'dir', kind: 'directory', mode: 0o1777 })),
    bytesEntry(header({ name: long, uid: 4_000_000_000, xattrs }), Buffer.from('x'.repeat(700))),
    bytesEntry(header({ name: 'l', kind: 'symlink', link: '../t' })),
  )
  expect(found.map((each) => [each.header.name, each.header.kind, each.text.length])).toEqual([
    ['dir', 'directory', 0],
    [long, 'file', 700],
    ['l', 'symlink', 0],
  ])
  expect(found[1]?.header).toMatchObject({ uid: 4_000_000_000, xattrs })
  expect(found[2]?.header.link).toBe('../t')
})

test('a body that nobody reads is skipped', async () => {
  const stream = Readable.from(
    writeTar([bytesEntry(header({ name: 'a' }), Buffer.alloc(1000)), bytesEntry(header({ name: 'b' }))]),
    { objectMode: false },
  )
  const names: string[] = []
  for await (const entry of readTar(stream)) names.push(entry.header.name)
  expect(names).toEqual(['a', 'b'])
})

test('a file that is longer or shorter than it was is not written as it is', async () => {
  const entry = bytesEntry(header({}), Buffer.from('abc'))
  const wrong = { ...entry, header: { ...entry.header, sizeBytes: 5 } }
  await expect(async () => {
    for await (const _ of writeTar([wrong]));
  }).rejects.toThrow('f changed while it was copied')
})
