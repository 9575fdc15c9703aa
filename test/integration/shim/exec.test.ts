import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectShim } from '../../../src/runtime/shim-client.ts'
import { eventually } from '../../support/eventually.ts'
import { execute, outcome, Place, type Running, type Wish } from './container.ts'

let place: Place
let container: Running
beforeAll(async () => {
  place = new Place()
  container = await place.run({ args: ['sleep', '100000'] })
})
afterAll(() => place[Symbol.asyncDispose]())

/** What confines a process, as it sees it itself. */
const CONFINEMENT = [
  'sh',
  '-c',
  `grep -E '^(Uid|Gid|Groups|NoNewPrivs|Seccomp|Seccomp_filters|Speculation.*|Cap.*|THP_enabled|Umask|SigIgn|SigBlk):' /proc/self/status
   cat /proc/self/cgroup /proc/self/oom_score_adj /proc/self/limits
   for n in mnt pid net ipc uts cgroup user; do readlink /proc/self/ns/$n; done
   cut -d' ' -f5,6 /proc/self/stat | sed 's/^\\(.*\\) \\(.*\\)$/\\1-\\2/' | awk -F- '{ print ($1 > 0), ($2 > 0) }'
   pwd; env | sort; for f in /proc/self/fd/*; do echo "$f"; done; stat -L -c '%u %F' /proc/self/fd/1`,
]

const cases: readonly [string, Wish, object][] = [
  ['as root', { args: ['sleep', '100000'] }, {}],
  [
    'as a user with groups',
    { args: ['sleep', '100000'] },
    { user: { uid: 1000, gid: 1001, additionalGids: [1001, 5, 6] } },
  ],
  ['with no new privileges', { args: ['sleep', '100000'] }, { noNewPrivileges: true, cwd: '/tmp' }],
  ['privileged', { args: ['sleep', '100000'], input: { security: { privileged: true } } as never }, {}],
  [
    "in the host's network",
    { args: ['sleep', '100000'], input: { network: { kind: 'host' } }, request: { netns: { kind: 'host' } } },
    {},
  ],
]

test.each(cases)('an exec %s is confined as runc confines it', async (_name, wish, change) => {
  const own = await place.run(wish)
  const by = async (via?: 'runc') => (await execute(own, { ...change, args: CONFINEMENT }, via ? { via } : {})).stdout
  // runc does it until the filter is known, a moment after the start; it leaves the score as it is.
  await eventually(async () =>
    expect((await execute(own, { args: ['cat', '/proc/self/oom_score_adj'], oomScoreAdj: 7 })).stdout).toBe('7\n'),
  )
  const natively = await by()
  expect(natively).toBe(await by('runc'))
  expect(natively).toMatch(/NoNewPrivs/)
  own.connection.signal(9)
  await own.process.exit
})

test('streams and exit codes are apart', async () => {
  for (const via of [undefined, 'runc'] as const) {
    const result = await execute(
      container,
      { args: ['sh', '-c', 'cat; echo err >&2; exit 3'] },
      { stdin: 'in', ...(via ? { via } : {}) },
    )
    expect(result).toMatchObject({ stdout: 'in', stderr: 'err\n', exitCode: 3, signal: 0 })
  }
})

test.each([
  ['a name that is not in PATH', { args: ['nonesuch'] }, 127, 'exec: "nonesuch": executable file not found in $PATH'],
  [
    'a path that is not there',
    { args: ['/nonesuch'] },
    127,
    'exec: "/nonesuch": stat /nonesuch: no such file or directory',
  ],
  ['a file that may not be executed', { args: ['/etc/passwd'] }, 126, 'exec: "/etc/passwd": permission denied'],
  ['a directory', { args: ['/etc'] }, 126, 'permission denied'],
  [
    'a working directory that is not there',
    { args: ['true'], cwd: '/none' },
    126,
    'chdir to cwd ("/none") set in config.json failed: no such file or directory',
  ],
])('%s is told in the words of runc', async (_name, change, exitCode, words) => {
  const error = (via?: 'runc') =>
    execute(container, change, via ? { via } : {}).then(
      () => undefined,
      (thrown: unknown) => thrown as { message: string; exitCode: number },
    )
  const natively = await error()
  expect(natively).toMatchObject({ code: 'FAILED', exitCode, message: expect.stringContaining(words) })
  expect((await error('runc'))?.exitCode).toBe(exitCode)
})

test('a terminal is the controlling one, of the container, with the size it is given', async () => {
  for (const via of [undefined, 'runc'] as const) {
    const process = await container.connection.exec({
      process: {
        ...container.spec.process,
        terminal: true,
        user: { uid: 1000, gid: 1000 },
        args: ['sh', '-c', 'tty; stat -c %u $(tty); read line < /dev/tty; echo "got $line"; stty size'],
      },
      stdin: true,
      size: { rows: 12, columns: 34 },
      ...(via ? { via } : {}),
    })
    process.stdin.write('hello\n')
    process.resize({ rows: 40, columns: 120 })
    const result = await outcome(process)
    const lines = result.stdout.split('\r\n')
    expect(result.stdout).toMatch(/^\/dev\/pts\/\d+\r$/m)
    expect(lines).toEqual(expect.arrayContaining(['1000', 'got hello', '40 120']))
    expect(result.exitCode).toBe(0)
  }
})

test('no descriptor of the host reaches the program', async () => {
  // 3 is the directory that ls reads.
  expect((await execute(container, { args: ['ls', '/proc/self/fd'] })).stdout).toBe('0\n1\n2\n3\n')
})

test('limits, umask and oom score are those of the request', async () => {
  const result = await execute(container, {
    args: ['sh', '-c', 'umask; ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj'],
    user: { uid: 0, gid: 0, umask: 0o077 },
    rlimits: [{ type: 'RLIMIT_NOFILE', soft: 100, hard: 200 }],
    oomScoreAdj: 500,
  })
  expect(result.stdout).toBe('0077\n100\n200\n500\n')
})

test("the program's own file cannot be written to from inside", async () => {
  // Its name as an interpreter makes the shim run in the container (CVE-2019-5736); through what is left of it:
  const result = await execute(container, {
    args: [
      'sh',
      '-c',
      `printf '#!/proc/self/exe\\n' > /trap && chmod 755 /trap; exec 3< /proc/self/exe; /trap 2>/dev/null; echo done`,
    ],
  })
  expect(result.stdout).toBe('done\n')
  const failing = await execute(container, { args: ['/trap'] }).catch((error: unknown) => error)
  expect(failing).toBeDefined()
  expect(readFileSync(`/proc/${container.shimPid}/mounts`, 'utf8')).not.toContain('tcompose-shim')
  const shim = `/proc/${container.shimPid}/exe`
  const { openSync } = await import('node:fs')
  expect(() => openSync(shim, 'r+')).toThrow(/EROFS|ETXTBSY/)
})

test('signals reach the exec, and it does not outlive the container', async () => {
  const process = await container.connection.exec({
    process: {
      ...container.spec.process,
      args: ['sh', '-c', 'trap "echo term; exit 4" TERM; echo up; while true; do sleep 0.05; done'],
    },
    stdin: false,
  })
  await new Promise((resolve) => process.stdout.once('readable', resolve))
  process.signal('TERM')
  expect(await outcome(process)).toMatchObject({ stdout: expect.stringContaining('term\n'), exitCode: 4 })

  const own = await place.run({ args: ['sleep', '100000'] })
  const lasting = await own.connection.exec({
    process: { ...own.spec.process, args: ['sleep', '100000'] },
    stdin: false,
  })
  own.connection.signal(9)
  expect(await outcome(lasting)).toMatchObject({ exitCode: 137 })
  await own.process.exit
})

test('a background child that keeps the streams open is not waited for long', async () => {
  const result = await execute(container, { args: ['sh', '-c', 'sleep 100000 & echo here'] })
  expect(result).toMatchObject({ stdout: 'here\n', exitCode: 0 })
})

test('an exec after the end, or before the start, is a conflict', async () => {
  const own = await place.run({
    args: ['true'],
    between: async (bundle) => {
      await using connection = await connectShim(bundle)
      await expect(
        connection.exec({ process: { ...container.spec.process, args: ['true'] }, stdin: false }),
      ).rejects.toMatchObject({ code: 'CONFLICT', message: 'container is not running' })
    },
  })
  await own.process.exit
  await expect(execute(own, { args: ['true'] })).rejects.toMatchObject({
    code: expect.stringMatching(/CONFLICT|NOT_FOUND|UNAVAILABLE/),
  })
})

test('many at once, and hundreds after another, leave nothing', async () => {
  const descriptors = () =>
    readdirSync(`/proc/${container.shimPid}/fd`)
      .map((fd) => {
        try {
          return readlinkSync(`/proc/${container.shimPid}/fd/${fd}`)
        } catch {
          return ''
        }
      })
      .filter((target) => target !== '')
  const memory = () =>
    Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${container.shimPid}/smaps_rollup`, 'utf8'))?.[1])
  const round = async () => {
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        execute(container, { args: ['sh', '-c', `echo ${index}; exit ${index}`] }),
      ),
    )
    results.forEach((result, index) => {
      expect(result).toMatchObject({ stdout: `${index}\n`, exitCode: index })
    })
  }
  for (let count = 0; count < 3; count++) await round()
  await eventually(() => expect(descriptors().length).toBeLessThan(20))
  const before = { descriptors: descriptors().length, memory: memory() }
  for (let count = 0; count < 10; count++) await round()
  await eventually(() => expect(descriptors().length).toBeLessThanOrEqual(before.descriptors))
  expect(memory()).toBeLessThan(before.memory + 64)
  const children = readFileSync(`/proc/${container.shimPid}/task/${container.shimPid}/children`, 'utf8')
    .trim()
    .split(' ')
  expect(children).toContain(String(container.pid))
})
