import { createReadStream, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { silent } from '../../../src/base/progress.ts'
import type { BuildEvent, BuildRequest } from '../../../src/engine/build/types.ts'
import type { Engine } from '../../../src/engine/engine.ts'
import { openEngine } from '../../../src/engine/open.ts'
import { readRootFile } from '../../../src/runtime/root-reader.ts'
import { rootTarball } from '../../support/images.ts'
import { findLeaks } from '../../support/leaks.ts'

let root: string
let engine: Engine

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'tcompose-build-'))
  engine = await openEngine({ env: { PATH: process.env.PATH, TCOMPOSE_ROOT: `${root}/state` } })
  await engine.images.import(createReadStream(rootTarball('busybox')), { reference: 'base' })
})

afterAll(async () => {
  const { paths } = engine
  await engine[Symbol.asyncDispose]()
  const leaks = findLeaks(paths, [])
  rmSync(paths.run, { recursive: true, force: true })
  rmSync(root, { recursive: true, force: true })
  expect(leaks).toEqual([])
})

interface Built {
  /** Content of a file of the image. */
  file(path: string): string | undefined
  readonly events: readonly BuildEvent[]
  readonly imageId: string
}

async function build(
  dockerfile: string,
  files: Readonly<Record<string, string>> = {},
  more: Partial<BuildRequest> = {},
): Promise<Built> {
  const context = mkdtempSync(join(root, 'context-'))
  for (const [name, text] of Object.entries({ Dockerfile: dockerfile, ...files })) {
    mkdirSync(dirname(join(context, name)), { recursive: true })
    writeFileSync(join(context, name), text)
  }
  const events: BuildEvent[] = []
  // Without network: nothing of the host's is touched, and steps need none.
  const request: BuildRequest = { context: { kind: 'directory', path: context }, network: 'none', ...more }
  const { imageId = '' } = await engine.builder.build(request, { emit: silent, onEvent: (event) => events.push(event) })
  const lowers = imageId === '' ? [] : (await engine.images.root(imageId)).lowers
  return { file: (path) => readRootFile(lowers, path), events, imageId }
}

const states = (built: Built) =>
  built.events.flatMap((event) => (event.kind === 'step' && event.id.includes('.') ? [event.state] : []))

test('a step is run over what was copied, and its changes are the image', async () => {
  const built = await build('FROM base\nENV who=you\nCOPY f /in/\nRUN cat /in/f > /out; echo $who >> /out', {
    f: 'hi\n',
  })
  expect(built.file('/out')).toBe('hi\nyou\n')
  expect(built.file('/etc/resolv.conf') ?? '').toBe('')
})

test('the second time everything comes from the cache, and a changed file runs what depends on it', async () => {
  const dockerfile = 'FROM base\nRUN echo one > /one\nCOPY f /f\nRUN cat /f > /two'
  const first = await build(dockerfile, { f: 'a' })
  const second = await build(dockerfile, { f: 'a' })
  expect(states(second).filter((state) => state !== 'started')).toEqual(['cached', 'cached', 'cached'])
  const third = await build(dockerfile, { f: 'b' })
  expect(states(third).filter((state) => state !== 'started')).toEqual(['cached', 'done', 'done'])
  expect([first.file('/two'), third.file('/two')]).toEqual(['a', 'b'])
})

test('only stages that are needed are built', async () => {
  const built = await build(
    'FROM base AS no\nRUN false\nFROM base AS yes\nRUN echo y > /y\nFROM scratch\nCOPY --from=yes /y /',
  )
  expect(built.file('/y')).toBe('y\n')
})

test('a secret is shown to its step and stays nowhere', async () => {
  const secret = `secret-${process.pid}`
  const built = await build(
    'FROM base\nRUN --mount=type=secret,id=s cat /run/secrets/s | wc -c > /size',
    {},
    { secrets: [{ id: 's', data: secret }] },
  )
  expect(built.file('/size')?.trim()).toBe(String(secret.length))
  expect(built.file('/run/secrets/s')).toBeUndefined()
  const config = JSON.stringify(await engine.images.get(built.imageId))
  expect(config).not.toContain(secret)
})

test('a cache mount lives on and is not in the image', async () => {
  const step = (name: string) =>
    `FROM base\nRUN --mount=type=cache,id=${process.pid},target=/c echo ${name} >> /c/log; cat /c/log > /log`
  await build(step('a'))
  const built = await build(step('b'))
  expect(built.file('/log')).toBe('a\nb\n')
  expect(built.file('/c/log')).toBeUndefined()
})

test('a step that fails says where and what it printed, and keeps the steps before it', async () => {
  const dockerfile = 'FROM base\nRUN echo kept > /kept\nRUN echo so it was && exit 3'
  const error = await build(dockerfile).catch((reason: unknown) => reason)
  expect(error).toMatchObject({ code: 'FAILED', at: 'Dockerfile:3', exitCode: 3 })
  expect((error as Error).message).toContain('so it was')
  expect((error as Error).message).toContain('>>> 3 | RUN echo so it was && exit 3')
  const again = await build('FROM base\nRUN echo kept > /kept')
  expect(states(again)).toContain('cached')
  expect(readdirSync(engine.paths.temporary)).toEqual([])
})

test('two builds of the same step at once run it once', async () => {
  const dockerfile = `FROM base\nRUN cat /proc/sys/kernel/random/uuid > /id; echo ${process.pid}`
  const [a, b] = await Promise.all([build(dockerfile), build(dockerfile)])
  expect(a.file('/id')).toBe(b.file('/id'))
})

test('a canceled build ends its step', async () => {
  const abort = new AbortController()
  const context = mkdtempSync(join(root, 'context-'))
  const building = engine.builder.build(
    {
      context: { kind: 'directory', path: context },
      dockerfileInline: 'FROM base\nRUN echo started; sleep 1000',
      network: 'none',
    },
    {
      emit: silent,
      onEvent: (event) => {
        if (event.kind === 'log' && event.text.includes('started')) abort.abort()
      },
      signal: abort.signal,
    },
  )
  await expect(building).rejects.toMatchObject({ code: 'CANCELED' })
})

test('files alone can be had, without an image', async () => {
  const target = join(root, 'files')
  const built = await build(
    'FROM base AS b\nRUN echo x > /x\nFROM scratch\nCOPY --from=b /x /d/',
    {},
    {
      outputs: [{ kind: 'local', path: target }],
    },
  )
  expect(built.imageId).toBe('')
  expect(readFileSync(join(target, 'd/x'), 'utf8')).toBe('x\n')
})
