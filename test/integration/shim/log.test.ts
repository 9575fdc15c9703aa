import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectShim } from '../../../src/runtime/shim-client.ts'
import { shimIsAlive } from '../../../src/runtime/shim-files.ts'
import { eventually } from '../../support/eventually.ts'
import { logLines, outcome, Place } from './container.ts'

let place: Place
beforeAll(() => {
  place = new Place()
})
afterAll(() => place[Symbol.asyncDispose]())

test('lines are records; long ones are split at 16 KiB with one time; the last may lack its newline', async () => {
  const container = await place.run({
    args: ['sh', '-c', 'printf "a\\n\\nb\\n"; head -c 40000 /dev/zero | tr "\\0" x; echo; printf end'],
    request: {
      log: {
        driver: 'json-file',
        path: `${place.root}/lines`,
        maxSizeBytes: 0,
        maxFiles: 1,
        compress: false,
        attrs: { tag: 'a"b' },
      },
    },
  })
  await container.process.exit
  const lines = logLines(`${place.root}/lines`)
  expect(lines.map(({ log }) => (log.length > 10 ? log.length : log))).toEqual([
    'a\n',
    '\n',
    'b\n',
    16384,
    16384,
    7233,
    'end',
  ])
  expect(new Set(lines.slice(3, 6).map(({ time }) => time)).size).toBe(1)
  expect(lines.every(({ attrs }) => attrs?.tag === 'a"b')).toBe(true)
  expect(lines[0]?.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/)
})

test('any bytes become valid JSON, as the same text where they are text', async () => {
  const text = 'tab\t quote" back\\ <&> \u0001 ä € 😀 \u2028'
  const container = await place.run({
    args: ['sh', '-c', 'cat; printf "\\377\\300\\257 \\355\\240\\200 \\342\\202\\n"'],
    openStdin: true,
  })
  container.process.stdin.end(`${text}\n${'ä'.repeat(20_000)}\n`)
  await container.process.exit
  const log = logLines(container.log)
    .map((line) => line.log)
    .join('')
  expect(log).toBe(`${text}\n${'ä'.repeat(20_000)}\n\ufffd\ufffd\ufffd \ufffd\ufffd\ufffd \ufffd\ufffd\n`)
})

test('a log rotates by size into as many files as it may have, and no line is lost between them', async () => {
  const path = `${place.root}/rotated`
  const container = await place.run({
    args: ['sh', '-c', 'i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done'],
    request: { log: { driver: 'json-file', path, maxSizeBytes: 20_000, maxFiles: 4, compress: false } },
  })
  await container.process.exit
  const files = [`${path}.3`, `${path}.2`, `${path}.1`, path]
  expect(existsSync(`${path}.4`)).toBe(false)
  const numbers = files.flatMap((file) => logLines(file)).map(({ log }) => Number(log.slice(5)))
  expect(numbers.at(-1)).toBe(2999)
  expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, index) => 3000 - numbers.length + index))
  for (const file of files.slice(0, 3)) expect(statSync(file).size).toBeGreaterThanOrEqual(20_000)
  for (const file of files) expect(statSync(file).size).toBeLessThan(20_200)
})

test('rotated files are compressed', async () => {
  const path = `${place.root}/packed`
  const container = await place.run({
    args: ['sh', '-c', 'i=0; while [ $i -lt 400 ]; do echo "line $i"; i=$((i+1)); done; sleep 0.5'],
    request: { log: { driver: 'json-file', path, maxSizeBytes: 20_000, maxFiles: 3, compress: true } },
  })
  await container.process.exit
  await eventually(() => expect(existsSync(`${path}.1.gz`)).toBe(true))
  const first = execFileSync('gzip', ['-dc', `${path}.1.gz`], { encoding: 'utf8' })
  expect(first).toContain('"line 0\\n"')
  expect(existsSync(`${path}.1`)).toBe(false)
})

test('a log of one file starts anew when it is full', async () => {
  const path = `${place.root}/single`
  const container = await place.run({
    args: ['sh', '-c', 'i=0; while [ $i -lt 1000 ]; do echo "line $i"; i=$((i+1)); done'],
    request: { log: { driver: 'json-file', path, maxSizeBytes: 10_000, maxFiles: 1, compress: false } },
  })
  await container.process.exit
  expect(statSync(path).size).toBeLessThan(10_200)
  expect(logLines(path).at(-1)?.log).toBe('line 999\n')
})

test('200 MB go through with memory as before, into the log alone and to a client', async () => {
  const path = `${place.root}/big`
  const container = await place.run({
    args: [
      'sh',
      '-c',
      'read go; yes 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde | head -c 200000000; read go',
    ],
    openStdin: true,
    request: { log: { driver: 'json-file', path, maxSizeBytes: 5_000_000, maxFiles: 2, compress: false } },
  })
  let bytes = 0
  container.process.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  const memory = () =>
    Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${container.shimPid}/smaps_rollup`, 'utf8'))?.[1])
  container.process.stdin.write('go\n')
  await eventually(() => expect(bytes).toBe(200_000_000), 100_000)
  // The queue for a client may hold a mebibyte meanwhile, and gives it back.
  await eventually(() => expect(memory()).toBeLessThan(512))
  container.process.stdin.end('go\n')
  expect((await container.process.exit).exitCode).toBe(0)
})

test('a client that takes nothing is cut off, and the container goes on', async () => {
  const container = await place.run({
    args: ['sh', '-c', 'read go; yes | head -c 20000000; echo done > /done'],
    openStdin: true,
  })
  const stuck = await connectShim(container.bundle)
  const process = stuck.attach()
  process.stdout.pause()
  container.process.stdout.resume()
  container.process.stdin.write('go\n')
  container.process.stdin.end()
  expect((await container.process.exit).exitCode).toBe(0)
  process.stdout.resume()
  await expect(process.exit).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('behind') })
  stuck.close()
})

test('without any client nothing holds the container back', async () => {
  const container = await place.run({
    args: ['sh', '-c', 'yes | head -c 3000000'],
    request: { log: { driver: 'none' } },
  })
  container.process.detach()
  await eventually(() => expect(shimIsAlive(container.bundle)).toBe(false))
})

test('a client that holds gets every byte, however late it takes them', async () => {
  const container = await place.run({ args: ['sh', '-c', 'yes | head -c 8000000'] })
  await new Promise((resolve) => setTimeout(resolve, 500))
  const result = await outcome(container.process)
  expect(result.stdout.length).toBe(8_000_000)
})
