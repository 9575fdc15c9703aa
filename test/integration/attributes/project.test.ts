import { chmodSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { createWorkspace, type Workspace } from '../../support/workspace.ts'
import { printed } from './attribute-lab.ts'

const stay = (script: string) => ['sh', '-c', `${script}; exec sleep 2147483647`]
const peer = `tct-peer-${process.pid}`
const [native, foreign] = process.arch === 'arm64' ? ['arm64', 'amd64'] : ['amd64', 'arm64']
let work: Workspace

beforeAll(async () => {
  work = await createWorkspace()
  work.write({
    provider:
      '#!/bin/sh\n[ "$1" = compose ] || exit 3\ncase "$*" in *" up "*) echo \'{"type":"setenv","message":"URL=db://here"}\';; esac\n',
    'compose.yaml': JSON.stringify({
      services: {
        prepared: {
          image: 'busybox',
          volumes: [
            { type: 'volume', source: 'shared', target: '/shared' },
            { type: 'volume', target: '/own', volume: { labels: { anon: 'yes' } } },
          ],
          pre_start: [
            {
              image: 'busybox',
              command: [
                'sh',
                '-c',
                'echo "made by $$WHO as $$(id -u) in $$(pwd) $$(grep CapBnd /proc/self/status)" >> /shared/made',
              ],
              environment: { WHO: 'hook' },
              user: '0:9',
              working_dir: '/tmp',
              privileged: true,
            },
            { image: 'busybox', command: ['sh', '-c', 'echo each >> /shared/made'], per_replica: true },
          ],
          scale: 2,
          command: stay('cat /shared/made'),
        },
        database: { provider: { type: `${work.dir}/provider`, options: { kind: 'small' } } },
        client: { image: 'busybox', depends_on: ['database'], command: stay('echo $$DATABASE_URL') },
        job: { image: 'busybox', command: ['sh', '-c', 'exit 0'] },
        healthy: {
          image: 'busybox',
          command: stay('touch /ready'),
          healthcheck: { test: 'test -e /ready', interval: '300ms', timeout: '20s' },
        },
        last: {
          image: 'busybox',
          depends_on: {
            job: { condition: 'service_completed_successfully' },
            healthy: { condition: 'service_healthy', restart: true },
          },
          healthcheck: { disable: true },
          command: stay('true'),
        },
        peer: { image: 'busybox', container_name: peer, command: stay('true') },
        linked: {
          image: 'busybox',
          depends_on: ['peer'],
          external_links: [`${peer}:nick`],
          command: stay(
            'for i in $$(seq 50); do nslookup nick 2>/dev/null | grep -q ^Name: && break; sleep 0.2; done; nslookup nick',
          ),
        },
        early: {
          image: 'busybox',
          command: stay('true'),
          healthcheck: {
            // Thirty probes are soon over only at this pace: the others are five seconds and ten minutes.
            test: 'echo x >> /probes; [ $$(wc -l < /probes) -ge 30 ]',
            interval: '600s',
            start_period: '600s',
            start_interval: '100ms',
            timeout: '60s',
          },
        },
        runc: { image: 'busybox', runtime: 'runc', platform: `linux/${native}`, command: stay('true') },
        hooked: {
          image: 'busybox',
          command: stay('true'),
          post_start: [{ command: ['sh', '-c', 'grep CapEff /proc/self/status > /caps'], privileged: true }],
        },
      },
      volumes: { shared: { labels: { v: '1' } } },
      networks: { default: { labels: { n: '1' } } },
    }),
    'runtime/compose.yaml': JSON.stringify({
      services: { web: { image: 'busybox', network_mode: 'none', runtime: 'kata' } },
    }),
    'platform/compose.yaml': JSON.stringify({
      services: { web: { image: 'busybox', network_mode: 'none', platform: `linux/${foreign}` } },
    }),
    'attached/compose.yaml': JSON.stringify({
      services: {
        loud: { image: 'busybox', command: ['echo', 'loud words'] },
        quiet: { image: 'busybox', command: ['echo', 'quiet words'], attach: false },
      },
    }),
  })
  chmodSync(`${work.dir}/provider`, 0o755)
  await work.ok(['up', '-d'])
}, 240_000)

afterAll(async () => {
  await work?.[Symbol.asyncDispose]()
}, 120_000)

async function containerOf(service: string) {
  const all = await (await work.engine()).containers.list()
  const found = all.find((one) => one.labels['com.docker.compose.service'] === service)
  if (!found) throw new Error(`no container of ${service}`)
  return found
}

async function says(service: string, text: string): Promise<void> {
  const { logPath } = await containerOf(service)
  await eventually(() => expect(printed(logPath)).toContain(text), 60_000)
}

test('pre_start runs to its end before the service', async () => {
  await says('prepared', 'made by hook as 0 in /tmp')
  const { stdout } = await work.ok(['exec', '-T', 'prepared', 'cat', '/shared/made'])
  expect(stdout.match(/^made by/gm)).toHaveLength(1)
  expect(stdout.match(/^each$/gm)).toHaveLength(2)
  expect((BigInt(`0x${/CapBnd:\s*(\w+)/.exec(stdout)?.[1]}`) >> 21n) & 1n).toBe(1n)
})

test('a provider gives its variables to those that depend on it', () => says('client', 'db://here'))

test('depends_on waits for health and for the end', async () => {
  const [job, healthy, last] = [await containerOf('job'), await containerOf('healthy'), await containerOf('last')]
  expect(job.state.finishedAt < last.state.startedAt).toBe(true)
  expect(healthy.state.health?.status).toBe('healthy')
  expect(healthy.state.startedAt < last.state.startedAt).toBe(true)
})

test('healthcheck.disable', async () => expect((await containerOf('last')).state.health).toBeUndefined())

test('healthcheck.start_interval', async () => {
  await eventually(async () => expect((await containerOf('early')).state.health?.status).toBe('healthy'), 60_000)
})

test('runtime: runc runs it, another is refused by name', async () => {
  expect((await containerOf('runc')).state.status).toBe('running')
  const { code, stderr } = await work.tcompose(['up', '-d'], { cwd: `${work.dir}/runtime` })
  expect(code).not.toBe(0)
  expect(stderr).toContain('unknown or invalid runtime name: kata')
})

test('platform: its own is taken, an image of another is not', async () => {
  expect((await containerOf('runc')).state.status).toBe('running')
  const { code, stderr } = await work.tcompose(['up', '-d', '--pull', 'never'], { cwd: `${work.dir}/platform` })
  expect(code).not.toBe(0)
  expect(stderr).toMatch(new RegExp(`does not match the specified platform .*linux/${foreign}`))
})

test('external_links are names', () => says('linked', 'nick'))

test('post_start with privileges', async () => {
  const { stdout } = await work.ok(['exec', '-T', 'hooked', 'cat', '/caps'])
  // CAP_SYS_ADMIN, which no container has unless it is privileged.
  expect((BigInt(`0x${stdout.trim().split(/\s+/)[1]}`) >> 21n) & 1n).toBe(1n)
})

test('labels of networks and volumes', async () => {
  const engine = await work.engine()
  const network = (await engine.networks.list()).find((one) => one.name.endsWith('_default'))
  expect(network?.labels).toMatchObject({ n: '1' })
  const volumes = await engine.volumes.list()
  expect(volumes.find((one) => one.name.endsWith('_shared'))?.labels).toMatchObject({ v: '1' })
  expect(volumes.some((one) => one.labels.anon === 'yes')).toBe(true)
})

test('attach: false leaves a service out of an attached up', async () => {
  const { stdout } = await work.ok(['up'], { cwd: `${work.dir}/attached` })
  expect(stdout).toContain('loud words')
  expect(stdout).not.toContain('quiet words')
})
