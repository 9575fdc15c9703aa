import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Engine } from '../../../src/engine/engine.ts'
import { createWorkspace, type Workspace } from '../../support/workspace.ts'
import { execIn, runContainer, specOf, startSleeper } from './run-container.ts'

let workspace: Workspace
let engine: Engine
beforeAll(async () => {
  workspace = await createWorkspace()
  engine = await workspace.engine()
}, 120_000)
afterAll(async () => {
  await workspace?.[Symbol.asyncDispose]()
}, 120_000)

const status = (field: string) => `sed -n 's/^${field}:[[:space:]]*//p' /proc/self/status`

describe('a default container', () => {
  test('has the capabilities, filter and masked paths of Docker', async () => {
    const ran = await runContainer(
      engine,
      `${status('CapEff')}; ${status('Seccomp')}; cat /proc/keys | wc -c; echo 1 >/proc/sys/kernel/shmmni; id -G`,
    )
    expect(ran.stdout).toBe('00000000a80425fb\n2\n0\n0\n')
    expect(ran.stderr).toContain('Read-only file system')
  })

  test('is pid 1 of its own, with a hostname, and sees neither host nor other network', async () => {
    const { id } = await engine.containers.create(specOf('echo $$; hostname; ls /sys/class/net'))
    const streams = await engine.containers.attach(id)
    await engine.containers.start(id)
    const lines: string[] = []
    for await (const chunk of streams.stdout) lines.push(String(chunk))
    expect(lines.join('')).toBe(`1\n${id.slice(0, 12)}\nlo\n`)
  })

  test('may bind low ports without being root', async () => {
    const ran = await runContainer(
      engine,
      'cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range',
    )
    expect(ran.stdout.split(/\s+/).filter(Boolean)).toEqual(['0', '0', '2147483647'])
  })
})

test('users, their groups and home come from the image', async () => {
  const ran = await runContainer(engine, 'id -u; id -g; id -G; echo $HOME', { user: '1234:56', groupAdd: ['78'] })
  expect(ran.stdout).toBe('1234\n56\n56 78\n/\n')
})

test('capabilities are added and dropped, and privileged gives all of ours', async () => {
  const some = await runContainer(engine, status('CapEff'), { security: { capDrop: ['ALL'], capAdd: ['CHOWN'] } })
  expect(some.stdout).toBe('0000000000000001\n')
  const all = await runContainer(engine, `${status('CapEff')}; ${status('Seccomp')}; ls /dev/null`, {
    security: { privileged: true },
  })
  const own = /^CapBnd:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  expect(all.stdout).toBe(`${own}\n0\n/dev/null\n`)
})

test('no-new-privileges and an unconfined filter take effect', async () => {
  const ran = await runContainer(engine, `${status('NoNewPrivs')}; ${status('Seccomp')}`, {
    security: { options: ['no-new-privileges', 'seccomp=unconfined'] },
  })
  expect(ran.stdout).toBe('1\n0\n')
})

test('limits are those of the cgroup, and the kernel ends who exceeds its memory', async () => {
  const limits = { memoryBytes: 32 * 1024 * 1024, memorySwapBytes: 32 * 1024 * 1024, pidsLimit: 40 }
  const { id, state } = await startSleeper(engine, { resources: limits })
  const groups = readFileSync(`/proc/${state.pid}/cgroup`, 'utf8')
  expect(groups).toContain(`/${workspace.paths.instance}/${id}`)
  await engine.containers.update(id, { resources: { pidsLimit: 50 } })
  expect((await engine.containers.get(id)).spec.resources).toMatchObject({
    pidsLimit: 50,
    memoryBytes: 32 * 1024 * 1024,
  })
  await engine.containers.remove(id, { force: true })
  const oom = await runContainer(engine, 'x=$(head -c 100m /dev/zero | tr "\\0" x); echo survived', {
    resources: limits,
  })
  expect(oom.stdout).toBe('')
  expect((await engine.containers.get(oom.id)).state).toMatchObject({ exitCode: 137, oomKilled: true })
})

test('ulimits, sysctls and devices are given', async () => {
  const ran = await runContainer(
    engine,
    'ulimit -n; cat /proc/sys/net/ipv4/ip_default_ttl; cat /proc/sys/kernel/shmmni; ls -l /dev/other',
    {
      ulimits: [{ name: 'nofile', soft: 321, hard: 321 }],
      sysctls: { 'net.ipv4.ip_default_ttl': '99', 'kernel.shmmni': '123' },
      devices: [{ source: '/dev/null', target: '/dev/other', permissions: 'rw' }],
    },
  )
  expect(ran.stdout).toMatch(/^321\n99\n123\ncrw.* 1, +3 .*\/dev\/other\n$/)
})

describe('namespaces', () => {
  test('of ipc are shared only by one that may be joined', async () => {
    const first = await startSleeper(engine)
    const { id } = await engine.containers.create(specOf('true', { namespaces: { ipc: `container:${first.id}` } }))
    await expect(engine.containers.start(id)).rejects.toThrow('non-shareable IPC')
    await engine.containers.remove(first.id, { force: true })
  })

  const link = (pid: number, kind: string) => readlinkSync(`/proc/${pid}/ns/${kind}`)

  test('can be those of the host', async () => {
    const { id, state } = await startSleeper(engine, {
      network: { kind: 'host' },
      namespaces: { pid: 'host', ipc: 'host', uts: 'host' },
    })
    for (const kind of ['net', 'pid', 'ipc', 'uts'])
      expect(link(state.pid, kind)).toBe(readlinkSync(`/proc/self/ns/${kind}`))
    expect((await execIn(engine, id, ['hostname'])).stdout.trim()).toBe(hostname())
    await engine.containers.remove(id, { force: true })
  })

  test('can be those of another container, which must run', async () => {
    const first = await startSleeper(engine, { hostname: 'first', namespaces: { ipc: 'shareable' } })
    const shared = {
      network: { kind: 'container', container: first.name },
      namespaces: { pid: `container:${first.id}`, ipc: `container:${first.id}` },
    } as const
    const second = await startSleeper(engine, shared)
    for (const kind of ['net', 'pid', 'ipc']) expect(link(second.state.pid, kind)).toBe(link(first.state.pid, kind))
    expect((await execIn(engine, second.id, ['cat', '/etc/hostname'])).stdout).toBe('first\n')
    await execIn(engine, first.id, ['sh', '-c', 'echo shared >/dev/shm/note'])
    expect((await execIn(engine, second.id, ['cat', '/dev/shm/note'])).stdout).toBe('shared\n')
    await engine.containers.remove(second.id, { force: true })
    await engine.containers.stop(first.id)
    const third = await engine.containers.create(specOf('true', shared))
    await expect(engine.containers.start(third.id)).rejects.toThrow(
      `cannot join network of a non running container: ${first.id}`,
    )
  })
})

test('an init reaps orphans, passes signals on and gives the exit code back', async () => {
  const { id } = await engine.containers.create(
    specOf('trap "exit 11" TERM; (sleep 0.05 &) ; cat /proc/1/comm; while :; do sleep 0.1; done', {
      init: true,
      stopTimeoutSeconds: 30,
    }),
  )
  const streams = await engine.containers.attach(id)
  await engine.containers.start(id)
  const [chunk] = await new Promise<Buffer[]>((resolve) =>
    streams.stdout.once('data', (data: Buffer) => resolve([data])),
  )
  expect(String(chunk)).toContain('docker-init')
  await engine.containers.stop(id)
  expect(await streams.exit).toMatchObject({ exitCode: 11 })
})

test('a terminal is one', async () => {
  const ran = await runContainer(engine, 'tty; echo $TERM', { tty: true })
  expect(ran.stdout).toBe('/dev/pts/0\r\nxterm\r\n')
  expect(ran.stderr).toBe('')
})
