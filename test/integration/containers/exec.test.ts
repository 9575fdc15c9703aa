import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Engine } from '../../../src/engine/engine.ts'
import { createWorkspace, type Workspace } from '../../support/workspace.ts'
import { execIn, specOf, startSleeper } from './run-container.ts'

let workspace: Workspace
let engine: Engine
let id: string
beforeAll(async () => {
  workspace = await createWorkspace()
  engine = await workspace.engine()
  id = (await startSleeper(engine, { env: ['FROM=spec'], workingDir: '/tmp', hostname: 'box' })).id
  await execIn(engine, id, [
    'sh',
    '-c',
    'echo "web:x:33:34::/home/web:/bin/sh" >>/etc/passwd; echo "extra:x:77:web" >>/etc/group',
  ])
}, 120_000)
afterAll(async () => {
  await workspace?.[Symbol.asyncDispose]()
}, 120_000)

test('a process gets its output and exit code back', async () => {
  expect(await execIn(engine, id, ['sh', '-c', 'echo out; echo err >&2; exit 3'])).toMatchObject({
    stdout: 'out\n',
    stderr: 'err\n',
    exitCode: 3,
  })
})

test('it sees the environment and directory of the container and its own on top', async () => {
  const { stdout } = await execIn(engine, id, ['sh', '-c', 'pwd; echo $FROM $OWN $HOME $HOSTNAME'], { env: ['OWN=1'] })
  expect(stdout).toBe('/tmp\nspec 1 /root box\n')
  expect((await execIn(engine, id, ['pwd'], { workingDir: '/etc' })).stdout).toBe('/etc\n')
})

test('users and their groups are those of the running container', async () => {
  const { stdout } = await execIn(engine, id, ['sh', '-c', 'id -u; id -g; id -G; echo $HOME'], { user: 'web' })
  expect(stdout).toBe('33\n34\n34 77\n/home/web\n')
  await expect(execIn(engine, id, ['true'], { user: 'nobody-here' })).rejects.toThrow('unable to find user nobody-here')
})

test('stdin reaches it and its end too', async () => {
  const streams = await engine.containers.exec(id, { command: ['cat'], stdin: true })
  const output = text(streams.stdout)
  streams.stdin.end('line\n')
  expect(await output).toBe('line\n')
  expect((await streams.exit).exitCode).toBe(0)
})

test('a terminal can be resized', async () => {
  const streams = await engine.containers.exec(id, {
    command: ['sh', '-c', 'read x; stty size; tty'],
    tty: true,
    stdin: true,
  })
  streams.resize({ columns: 101, rows: 33 })
  const output = text(streams.stdout)
  streams.stdin.write('go\n')
  expect(await output).toContain('33 101')
  expect((await streams.exit).exitCode).toBe(0)
})

test('what cannot be run says why, with the exit code of Docker', async () => {
  await expect(execIn(engine, id, ['/no/such'])).rejects.toMatchObject({ exitCode: 127 })
  await expect(execIn(engine, id, ['/etc/passwd'])).rejects.toMatchObject({ exitCode: 126 })
})

test('a process is confined as the container itself', async () => {
  const fields = /^(CapEff|CapBnd|Seccomp|NoNewPrivs):\s*(\S+)$/gm
  const of = (status: string) =>
    Object.fromEntries([...status.matchAll(fields)].map(([, name, value]) => [name, value]))
  const exec = of((await execIn(engine, id, ['cat', '/proc/self/status'])).stdout)
  const init = of((await execIn(engine, id, ['cat', '/proc/1/status'])).stdout)
  expect(exec).toEqual(init)
  expect(exec).toMatchObject({ CapEff: '00000000a80425fb', Seccomp: '2', NoNewPrivs: '0' })
  const user = of((await execIn(engine, id, ['cat', '/proc/self/status'], { user: 'web' })).stdout)
  expect(user).toMatchObject({ CapEff: '0000000000000000', CapBnd: '00000000a80425fb' })
})

test('a privileged process has all that can be given', async () => {
  const { stdout } = await execIn(engine, id, ['cat', '/proc/self/status'], { privileged: true })
  const own = /^CapBnd:\s*(\S+)$/m.exec((await import('node:fs')).readFileSync('/proc/self/status', 'utf8'))?.[1]
  expect(stdout).toContain(`CapEff:\t${own}`)
})

test('one that does not run takes no process', async () => {
  const created = await engine.containers.create(specOf('true'))
  await expect(execIn(engine, created.id, ['true'])).rejects.toThrow(`container ${created.id} is not running`)
})

test('twenty at once do not get in the way of each other', async () => {
  const results = await Promise.all(
    Array.from({ length: 20 }, (_, n) => execIn(engine, id, ['sh', '-c', `echo ${n}; exit ${n}`])),
  )
  expect(results.map((result) => [result.stdout, result.exitCode])).toEqual(
    Array.from({ length: 20 }, (_, n) => [`${n}\n`, n]),
  )
})
