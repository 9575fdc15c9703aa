import { execFileSync } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectShim } from '../../../src/runtime/shim-client.ts'
import { shimIsAlive } from '../../../src/runtime/shim-files.ts'
import { encodeFrame } from '../../../src/runtime/shim-frames.ts'
import { eventually } from '../../support/eventually.ts'
import { execute, logLines, outcome, Place } from './container.ts'

const sources = `${import.meta.dirname}/../../../src/runtime/shim`

let place: Place
let program: string
beforeAll(() => {
  place = new Place()
  program = `${place.root}/shim-sanitized`
  const options = `${place.root}/options.c`
  // The shim's environment is nearly empty: what the sanitizers are to do is built in.
  writeFileSync(
    options,
    `const char *__asan_default_options(void);
     const char *__asan_default_options(void) {
       return "log_path=${place.root}/report:detect_leaks=0:abort_on_error=1:detect_stack_use_after_return=1";
     }
     const char *__ubsan_default_options(void);
     const char *__ubsan_default_options(void) { return "log_path=${place.root}/report:halt_on_error=1:print_stacktrace=1"; }`,
  )
  const files = readdirSync(sources)
    .filter((file) => file.endsWith('.c'))
    .map((file) => `${sources}/${file}`)
  execFileSync('gcc', [
    '-std=gnu11',
    '-g',
    '-O1',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-fsanitize=address,undefined',
    '-fno-sanitize-recover=all',
    '-o',
    program,
    options,
    ...files,
  ])
})
afterAll(() => place[Symbol.asyncDispose]())

function reports(): string[] {
  return readdirSync(place.root)
    .filter((file) => file.startsWith('report'))
    .map((file) => readFileSync(`${place.root}/${file}`, 'utf8'))
}

test('a container with all there is runs without a fault of memory', async () => {
  const path = `${place.root}/log`
  const container = await place.run({
    program,
    args: [
      'sh',
      '-c',
      'cat; i=0; while [ $i -lt 2000 ]; do echo "line $i"; i=$((i+1)); done; head -c 100000 /dev/urandom; sleep 100000',
    ],
    openStdin: true,
    request: {
      dns: true,
      ports: [
        { protocol: 'tcp', hostIp: '127.0.0.1', hostPort: 0, containerPort: 80 },
        { protocol: 'udp', hostIp: '', hostPort: 0, containerPort: 53 },
      ],
      log: { driver: 'json-file', path, maxSizeBytes: 20_000, maxFiles: 3, compress: true },
      images: [],
    },
  })
  container.process.stdout.resume()
  container.process.stderr.resume()
  container.process.stdin.end('x'.repeat(100_000))
  container.connection.serveNames((query) => Promise.resolve(query))
  for (const via of [undefined, undefined, 'runc'] as const) {
    const result = await execute(
      container,
      { args: ['sh', '-c', 'cat; nslookup x 127.0.0.11 >&2; exit 3'] },
      { stdin: 'in', ...(via ? { via } : {}) },
    )
    expect(result).toMatchObject({ stdout: 'in', exitCode: 3 })
  }
  for (const args of [['nonesuch'], ['/etc']])
    await expect(execute(container, { args })).rejects.toMatchObject({ code: 'FAILED' })
  const terminal = await container.connection.exec({
    process: { ...container.spec.process, terminal: true, args: ['sh', '-c', 'read x; echo "got $x"'] },
    stdin: true,
    size: { rows: 10, columns: 20 },
  })
  terminal.stdin.write('it\n')
  expect((await outcome(terminal)).stdout).toContain('got it')
  await eventually(() => expect(logLines(path).length).toBeGreaterThan(0))
  container.connection.signal(9)
  expect((await container.process.exit).exitCode).toBe(137)
  await eventually(() => expect(shimIsAlive(container.bundle)).toBe(false))
  expect(reports()).toEqual([])
})

/** Frames that are none, or of known types with any payload, whole or cut. */
function garbage(): Buffer {
  const types = Buffer.from('LSAICWKENaFHRPOXxZqMD\0\xff', 'latin1')
  const type = types[randomInt(types.length)] ?? 0
  const texts = [
    'arg\0sh\0',
    'env\0A=1\0',
    'cwd\0/\0',
    'json\0{}\0',
    'uid\x005\0',
    'rlimit\x007:1:2\0',
    'rlimit\x007\0',
    'a\0',
    '\0',
    '\0\0\0',
  ]
  const payload =
    randomInt(2) === 0
      ? randomBytes(randomInt(300))
      : Buffer.from(Array.from({ length: randomInt(8) }, () => texts[randomInt(texts.length)]).join(''))
  // Not a signal for the container: it is to live.
  const frame = encodeFrame(type === 0x4b ? 0x57 : type, payload, randomInt(256))
  return randomInt(4) === 0 ? frame.subarray(0, randomInt(frame.length)) : frame
}

test('whatever is sent to it, a shim serves on', async () => {
  const container = await place.run({ program, args: ['sleep', '100000'], openStdin: true, request: { dns: true } })
  for (let round = 0; round < 300; round++) {
    const socket = connect(`${container.bundle}/sock`)
    socket.on('error', () => {})
    socket.resume()
    const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()))
    socket.write(Buffer.concat(Array.from({ length: 1 + randomInt(20) }, garbage)))
    socket.end()
    await closed
  }
  expect(reports()).toEqual([])
  await using connection = await connectShim(container.bundle)
  expect(connection.pid).toBe(container.pid)
  expect((await execute(container, { args: ['echo', 'alive'] })).stdout).toBe('alive\n')
  container.connection.signal(9)
  await container.process.exit
  expect(reports()).toEqual([])
})
