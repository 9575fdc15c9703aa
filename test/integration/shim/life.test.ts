import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isAlive, processStart } from '../../../src/platform/process.ts'
import { connectShim, launchShim } from '../../../src/runtime/shim-client.ts'
import { readExit, readPid, readShim, shimIsAlive } from '../../../src/runtime/shim-files.ts'
import { destroyLeftover } from '../../../src/runtime/shim-leftover.ts'
import { eventually } from '../../support/eventually.ts'
import { execute, logLines, outcome, Place } from './container.ts'

let place: Place

/** Cgroups of a container that are still there. */
function cgroupsOf(id: string): readonly string[] {
  return place.cgroups().flatMap((path) => readdirSync(path).filter((name) => name === id))
}
beforeAll(() => {
  place = new Place()
})
afterAll(() => place[Symbol.asyncDispose]())

test('output reaches the attached client and the log, the exit code the record, and nothing is left', async () => {
  const container = await place.run({ args: ['sh', '-c', 'echo out; echo err >&2; exit 7'] })
  const result = await outcome(container.process)
  expect(result).toMatchObject({ stdout: 'out\n', stderr: 'err\n', exitCode: 7, signal: 0, oomKilled: false })
  expect(readExit(container.bundle)).toMatchObject({ exitCode: 7, finishedAt: result.finishedAt })
  expect(
    logLines(container.log)
      .map(({ log, stream }) => `${stream} ${log}`)
      .sort(),
  ).toEqual(['stderr err\n', 'stdout out\n'])
  await eventually(() => expect(shimIsAlive(container.bundle)).toBe(false))
  expect(existsSync(`${place.runcRoot}/${container.id}`)).toBe(false)
  expect(cgroupsOf(container.id)).toEqual([])
})

test('a process killed by a signal has 128 and its number', async () => {
  const container = await place.run({ args: ['sleep', '1000'] })
  container.connection.signal('KILL')
  expect(await outcome(container.process)).toMatchObject({ exitCode: 137, signal: 9, oomKilled: false })
})

test('stdin is passed on and closed once', async () => {
  const container = await place.run({ args: ['cat'], openStdin: true })
  container.process.stdin.write('one\n')
  container.process.stdin.end('two\n')
  expect(await outcome(container.process)).toMatchObject({ stdout: 'one\ntwo\n', exitCode: 0 })
})

test('megabytes go in and out again unchanged', async () => {
  const container = await place.run({ args: ['cat'], openStdin: true, request: { log: { driver: 'none' } } })
  const data = 'x'.repeat(99_999).concat('\n').repeat(50)
  container.process.stdin.end(data)
  const result = await outcome(container.process)
  expect(result.stdout.length).toBe(data.length)
  expect(result.stdout === data).toBe(true)
})

test('a terminal has the size it is given, also later', async () => {
  const container = await place.run({
    args: ['sh', '-c', 'while [ "$(stty size)" != "33 101" ]; do sleep 0.05; done; tty; stty size'],
    tty: true,
    openStdin: true,
  })
  container.process.resize({ rows: 33, columns: 101 })
  const result = await outcome(container.process)
  expect(result.stdout).toMatch(/\/dev\/pts\/\d+\r\n33 101\r\n$/)
  expect(result.exitCode).toBe(0)
})

test('a program that is not there is 127 in the words of runc, and nothing is left', async () => {
  const request = place.prepare({ args: ['nonesuch'] })
  const handle = await launchShim(request)
  await expect(handle.start([])).rejects.toMatchObject({
    code: 'FAILED',
    exitCode: 127,
    message: expect.stringMatching(/exec: "nonesuch": executable file not found in \$PATH/),
  })
  expect(shimIsAlive(request.bundle)).toBe(false)
  expect(existsSync(`${place.runcRoot}/${request.id}`)).toBe(false)
  expect(readExit(request.bundle)).toBeUndefined()
})

test('a program that may not be executed is 126', async () => {
  const handle = await launchShim(place.prepare({ args: ['/etc/passwd'] }))
  await expect(handle.start([])).rejects.toMatchObject({ code: 'FAILED', exitCode: 126 })
})

test('an abort before the start leaves nothing', async () => {
  const request = place.prepare({ args: ['true'] })
  const handle = await launchShim(request)
  expect(processStart(handle.shimPid)).toBe(handle.shimStart)
  await handle.abort()
  expect(processStart(handle.shimPid)).toBeUndefined()
  expect(readPid(request.bundle)).toBeUndefined()
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(request.bundle)
})

test('a launching process that is killed before the start takes the shim with it', async () => {
  const request = place.prepare({ args: ['sleep', '1000'] })
  const script = `${place.root}/launch.ts`
  writeFileSync(
    script,
    `import { launchShim } from '${import.meta.dirname}/../../../src/runtime/shim-client.ts'
     await launchShim(${JSON.stringify(request)})
     process.kill(process.pid, 'SIGKILL')`,
  )
  expect(spawnSync(process.execPath, [script], { stdio: 'ignore' }).signal).toBe('SIGKILL')
  expect(readShim(request.bundle)).toBeDefined()
  await eventually(() => expect(shimIsAlive(request.bundle)).toBe(false))
  expect(readPid(request.bundle)).toBeUndefined()
})

test('a launching process that is killed after the start leaves a container that works', async () => {
  const request = place.prepare({ args: ['sh', '-c', 'trap "exit 5" TERM; echo up; sleep 1000 & wait'] })
  const script = `${place.root}/launch-and-die.ts`
  writeFileSync(
    script,
    `import { launchShim } from '${import.meta.dirname}/../../../src/runtime/shim-client.ts'
     const handle = await launchShim(${JSON.stringify(request)})
     await handle.start([])
     process.kill(process.pid, 'SIGKILL')`,
  )
  expect(spawnSync(process.execPath, [script], { stdio: 'ignore' }).signal).toBe('SIGKILL')
  const connection = await connectShim(request.bundle)
  const container = readPid(request.bundle)
  expect(container && isAlive(container)).toBe(true)
  expect(connection.pid).toBe(container?.pid)
  await eventually(() => expect(logLines(request.log.driver === 'json-file' ? request.log.path : '')).toHaveLength(1))
  connection.signal('TERM')
  expect(await connection.exit).toMatchObject({ exitCode: 5 })
})

test('what a killed shim leaves is cleared: processes, cgroups, state', async () => {
  const container = await place.run({ args: ['sh', '-c', 'sleep 1000 & sleep 1000'] })
  const first = readPid(container.bundle)
  process.kill(container.shimPid, 'SIGKILL')
  await expect(container.process.exit).rejects.toMatchObject({ code: 'UNAVAILABLE', message: 'the shim was killed' })
  expect(first && isAlive(first)).toBe(true)
  await destroyLeftover(container.bundle, place.runcRoot)
  expect(first && isAlive(first)).toBe(false)
  expect(existsSync(`${place.runcRoot}/${container.id}`)).toBe(false)
  expect(cgroupsOf(container.id)).toEqual([])
  await expect(connectShim(container.bundle)).rejects.toMatchObject({ code: 'NOT_FOUND' })
})

test('the same container can be started again as soon as its exit record is there', async () => {
  const request = place.prepare({ args: ['sh', '-c', 'echo x >> /count; wc -l < /count'] })
  for (let round = 1; round <= 3; round++) {
    const handle = await launchShim(request)
    await handle.start([])
    await eventually(() => expect(readExit(request.bundle)).toBeDefined())
    expect(readExit(request.bundle)).toMatchObject({ exitCode: 0 })
    for (const file of readdirSync(request.bundle)) {
      if (file !== 'rootfs') spawnSync('rm', ['-f', `${request.bundle}/${file}`])
    }
  }
  expect(logLines(request.log.driver === 'json-file' ? request.log.path : '').map(({ log }) => log.trim())).toEqual([
    '1',
    '2',
    '3',
  ])
})

test('processes that share the pid namespace of the host end with the container', async () => {
  const container = await place.run({
    args: ['sh', '-c', 'sleep 1000 & echo $!; exit 3'],
    input: { namespaces: { pid: { kind: 'host' } } },
  })
  const result = await outcome(container.process)
  expect(result.exitCode).toBe(3)
  expect(processStart(Number(result.stdout))).toBeUndefined()
})

test('being killed for want of memory is told at once and recorded', async () => {
  const container = await place.run({
    args: ['sh', '-c', 'x=a; while true; do x=$x$x$x; done'],
    input: { resources: { memoryBytes: 8 << 20, memorySwapBytes: 8 << 20 } } as never,
  })
  let told = false
  container.connection.onOom(() => {
    told = true
  })
  expect(await outcome(container.process)).toMatchObject({ exitCode: 137, oomKilled: true })
  expect(told).toBe(true)
})

test('many layers and a long bundle path are mounted', async () => {
  const lowers = Array.from({ length: 120 }, (_, index) => `${place.root}/layers/${'n'.repeat(60)}-${index}`)
  for (const [index, lower] of lowers.entries()) {
    mkdirSync(lower, { recursive: true })
    writeFileSync(`${lower}/layer-${index}`, '')
  }
  const container = await place.run({
    args: ['sh', '-c', 'ls /layer-* | wc -l'],
    request: {
      overlay: {
        lowers: [...lowers, place.lower],
        upper: `${place.root}/many/upper`,
        work: `${place.root}/many/work`,
      },
    },
  })
  expect((await outcome(container.process)).stdout).toBe('120\n')
})

test('a directory serves as root as it is', async () => {
  const container = await place.run({ args: ['ls', '/etc/passwd'], request: { overlay: { rootfs: place.lower } } })
  expect((await outcome(container.process)).stdout).toBe('/etc/passwd\n')
})

test('file systems and images are mounted before, to be bound from', async () => {
  const request = place.prepare({ args: ['true'] })
  const container = await place.run({
    args: ['sh', '-c', 'grep " /data " /proc/mounts; ls /image/etc/passwd; touch /image/x'],
    spec: (spec) => {
      const folder = spec.root.path.replace(/\/rootfs$/, '')
      return {
        ...spec,
        mounts: [
          ...spec.mounts,
          { destination: '/data', type: 'bind', source: `${request.bundle}/v0`, options: ['rbind', 'rprivate'] },
          { destination: '/image', type: 'bind', source: `${request.bundle}/i0`, options: ['rbind', 'ro'] },
        ],
        annotations: { folder },
      }
    },
    request: {
      mounts: [{ path: `${request.bundle}/v0`, type: 'tmpfs', device: 'tmpfs', options: 'size=1m,nosuid' }],
      images: [{ path: `${request.bundle}/i0`, lowers: [place.lower] }],
    },
  })
  const result = await outcome(container.process)
  expect(result.stdout).toMatch(/^tmpfs \/data tmpfs rw,nosuid,.*size=1024k.*\n\/image\/etc\/passwd\n$/)
  expect(result.stderr).toMatch(/Read-only file system/)
})

test('an exec outlives its client, and a client that goes does not disturb the container', async () => {
  const container = await place.run({ args: ['sleep', '1000'] })
  const process = await container.connection.exec({
    process: { ...container.spec.process, args: ['sh', '-c', 'cat; sleep 0.2; touch /after'] },
    stdin: true,
  })
  process.detach()
  await eventually(async () => expect((await execute(container, { args: ['ls', '/after'] })).exitCode).toBe(0))
  container.connection.signal(9)
  await container.process.exit
})

test('a shim that is killed at any moment of a start leaves only what is cleared after it', async () => {
  for (let round = 0; round < 12; round++) {
    const request = place.prepare({ args: ['sh', '-c', 'sleep 1000 & sleep 1000'], request: { dns: true } })
    const handle = await launchShim(request)
    const started = handle.start([]).catch((error: unknown) => error)
    await new Promise((resolve) => setTimeout(resolve, round * 12))
    try {
      process.kill(handle.shimPid, 'SIGKILL')
    } catch {
      // Not reached: it lives until the container ends.
    }
    await started
    const first = readPid(request.bundle)
    await destroyLeftover(request.bundle, place.runcRoot)
    expect(first !== undefined && isAlive(first)).toBe(false)
    expect(existsSync(`${place.runcRoot}/${request.id}`)).toBe(false)
    expect(cgroupsOf(request.id)).toEqual([])
  }
})

test('a size that is given before the start is that of the terminal', async () => {
  const container = await place.run({
    args: ['stty', 'size'],
    tty: true,
    between: async (_bundle, _shimPid, process) => process.resize({ rows: 21, columns: 43 }),
  })
  expect((await outcome(container.process)).stdout).toBe('21 43\r\n')
})

test('a container that does not read its stdin does not hold other clients back', async () => {
  const container = await place.run({ args: ['sleep', '100000'], openStdin: true })
  container.process.stdin.write('x'.repeat(2_000_000))
  expect((await execute(container, { args: ['echo', 'still'] })).stdout).toBe('still\n')
  await using other = await connectShim(container.bundle)
  other.signal('KILL')
  expect((await other.exit).exitCode).toBe(137)
})
