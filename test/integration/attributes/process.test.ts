import { existsSync, readFileSync } from 'node:fs'
import { expect } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { attributeTests, printed } from './attribute-lab.ts'

const STAY = 'exec sleep 2147483647'

attributeTests({
  files: {
    'one.env': 'FROM_FILE=file\nBOTH=file\n',
    'two.env': 'RAW="kept"\n',
    'app.labels': 'from.file=yes\nboth=file\n',
  },
  env: { FROM_SHELL: 'shell' },
  cases: [
    {
      name: 'environment over env_file, and values of the shell',
      service: {
        env_file: ['one.env', { path: 'two.env', format: 'raw' }, { path: 'absent.env', required: false }],
        environment: { BOTH: 'here', FROM_SHELL: null },
      },
      probe: 'echo $FROM_FILE $BOTH $FROM_SHELL $RAW',
      seen: 'file here shell "kept"',
    },
    {
      name: 'labels over label_file, and annotations',
      service: { labels: { both: 'here' }, label_file: './app.labels', annotations: { 'com.example.a': 'b' } },
      seen: ({ container, work }) => {
        expect(container.labels).toMatchObject({ 'from.file': 'yes', both: 'here' })
        // What the runtime keeps of the running container, for hooks and monitors.
        const state = readFileSync(`${work.paths.run}/runc/${container.id}/state.json`, 'utf8')
        expect((JSON.parse(state) as { config: { labels: readonly string[] } }).config.labels).toContain(
          'com.example.a=b',
        )
      },
    },
    {
      name: 'entrypoint and command',
      service: { entrypoint: ['sh', '-c', 'echo "$$0 $$1"; sleep 1000'], command: ['first', 'second'] },
      seen: ({ container }) => eventually(() => expect(printed(container.logPath)).toBe('first second\n')),
    },
    {
      name: 'working_dir is made',
      service: { working_dir: '/made/here' },
      probe: 'pwd',
      seen: '/made/here',
    },
    {
      name: 'hostname and domainname',
      service: { hostname: 'box', domainname: 'example.test' },
      probe: 'hostname; cat /proc/sys/kernel/domainname; grep box /etc/hosts | cut -f2-',
      seen: 'box\nexample.test\nbox.example.test box',
    },
    { name: 'tty', service: { tty: true }, probe: 'test -t 1 && echo a terminal', seen: /a terminal/ },
    {
      name: 'stdin_open',
      service: { stdin_open: true, command: ['sh', '-c', 'read line; echo ended'] },
      seen: ({ container }) => expect(container.state.status).toBe('running'),
    },
    {
      name: 'container_name',
      service: { container_name: `tct-attributes-${process.pid}` },
      seen: ({ container }) => expect(container.name).toBe(`tct-attributes-${process.pid}`),
    },
    {
      name: 'platform and runtime',
      service: { platform: 'linux/amd64', runtime: 'runc' },
      seen: ({ container }) => expect(container.state.status).toBe('running'),
    },
    {
      name: 'stop_signal and stop_grace_period',
      service: {
        stop_signal: 'SIGUSR1',
        stop_grace_period: '50s',
        command: ['sh', '-c', `trap 'echo usr1; exit 3' USR1; echo ready; while :; do sleep 0.1; done`],
      },
      seen: async ({ container, work }) => {
        await eventually(() => expect(printed(container.logPath)).toContain('ready'))
        expect(container.config.stopTimeoutSeconds).toBe(50)
        await work.ok(['stop', container.labels['com.docker.compose.service'] ?? ''])
        expect(printed(container.logPath)).toContain('usr1')
        expect((await (await work.engine()).containers.get(container.id)).state.exitCode).toBe(3)
      },
    },
    {
      name: 'logging: none',
      service: { logging: { driver: 'none' }, command: ['sh', '-c', `echo heard; ${STAY}`] },
      seen: ({ container }) => expect(printed(container.logPath)).toBe(''),
    },
    {
      name: 'logging: options of json-file',
      service: {
        logging: { driver: 'json-file', options: { 'max-size': '1k', 'max-file': '2', labels: 'kept' } },
        labels: { kept: 'seen' },
        command: ['sh', '-c', `seq 1 100; ${STAY}`],
      },
      seen: async ({ container }) => {
        await eventually(() => expect(existsSync(`${container.logPath}.1`)).toBe(true))
        expect(existsSync(`${container.logPath}.2`)).toBe(false)
        expect(readFileSync(`${container.logPath}.1`, 'utf8')).toContain('"kept":"seen"')
      },
    },
    {
      name: 'healthcheck',
      service: {
        healthcheck: {
          test: ['CMD-SHELL', 'echo fine'],
          interval: '300ms',
          timeout: '20s',
          retries: 4,
          start_period: '1s',
        },
      },
      seen: ({ container, work }) =>
        eventually(async () => {
          const now = await (await work.engine()).containers.get(container.id)
          expect(now.state.health?.status).toBe('healthy')
          expect(now.config.healthcheck).toMatchObject({
            retries: 4,
            intervalNs: 3e8,
            timeoutNs: 2e10,
            startPeriodNs: 1e9,
          })
        }, 60_000),
    },
    {
      name: 'restart: on-failure with a count',
      service: { restart: 'on-failure:2', command: ['sh', '-c', 'exit 3'] },
      seen: ({ container, work }) =>
        eventually(async () => {
          const { state } = await (await work.engine()).containers.get(container.id)
          expect(state).toMatchObject({ status: 'exited', exitCode: 3, restartCount: 2 })
        }, 60_000),
    },
    {
      name: 'deploy.restart_policy',
      service: {
        deploy: { restart_policy: { condition: 'on-failure', max_attempts: 1 } },
        command: ['sh', '-c', 'exit 4'],
      },
      seen: ({ container, work }) =>
        eventually(async () => {
          const { state } = await (await work.engine()).containers.get(container.id)
          expect(state).toMatchObject({ status: 'exited', exitCode: 4, restartCount: 1 })
        }, 60_000),
    },
    {
      name: 'scale and deploy.replicas',
      service: { scale: 2 },
      seen: async ({ container, work }) => {
        const service = container.labels['com.docker.compose.service']
        const all = await (await work.engine()).containers.list()
        expect(all.filter((c) => c.labels['com.docker.compose.service'] === service)).toHaveLength(2)
        const replicas = all.filter((c) => c.labels.replicas === 'three')
        expect(replicas).toHaveLength(3)
      },
    },
    {
      name: 'deploy.replicas',
      service: { deploy: { replicas: 3 }, labels: { replicas: 'three' } },
      seen: ({ container }) => expect(container.labels.replicas).toBe('three'),
    },
    {
      name: 'hooks: post_start',
      service: {
        post_start: [
          {
            command: ['sh', '-c', 'echo "$$WHO $$(id -u) $$(pwd)" > /tmp/hook'],
            user: '7',
            working_dir: '/tmp',
            environment: { WHO: 'me' },
          },
        ],
        command: ['sh', '-c', STAY],
      },
      seen: async ({ container, work }) => {
        const { stdout } = await work.ok([
          'exec',
          '-T',
          container.labels['com.docker.compose.service'] ?? '',
          'cat',
          '/tmp/hook',
        ])
        expect(stdout).toBe('me 7 /tmp\n')
      },
    },
    {
      name: 'hooks: pre_stop',
      service: {
        pre_stop: [
          {
            command: ['sh', '-c', 'echo "$$WHO $$(id -u) $$(pwd) $$(grep CapBnd /proc/self/status)" > /kept/hook'],
            user: '7',
            working_dir: '/tmp',
            environment: { WHO: 'me' },
            privileged: true,
          },
        ],
        volumes: ['./kept:/kept'],
        command: ['sh', '-c', `chmod 777 /kept; echo ready; ${STAY}`],
      },
      seen: async ({ container, work }) => {
        await eventually(() => expect(printed(container.logPath)).toContain('ready'))
        await work.ok(['stop', container.labels['com.docker.compose.service'] ?? ''])
        const [words, capabilities] = readFileSync(`${work.dir}/kept/hook`, 'utf8').trim().split(' CapBnd:')
        expect(words).toBe('me 7 /tmp')
        // CAP_SYS_ADMIN, which a process has only if it is privileged.
        expect((BigInt(`0x${capabilities?.trim()}`) >> 21n) & 1n).toBe(1n)
      },
    },
  ],
})
