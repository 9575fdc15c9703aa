import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { afterAll, expect } from 'vitest'
import { attributeTests } from './attribute-lab.ts'

/** A variable of the compose file. */
const variable = (name: string): string => `\${${name}}`
const mountOptions = (target: string): string => `awk '$5=="${target}"' /proc/self/mountinfo`

/** A mount of the host that passes on what is mounted below it. */
let shared = ''

attributeTests({
  files: { 'in/a.txt': 'from the host', 'secret.txt': 's3cret', 'conf.txt': 'a=b' },
  env: { TOKEN: 't0ken' },
  prepare: async (work) => {
    mkdirSync(`${work.dir}/device`)
    mkdirSync(`${work.dir}/shared`)
    execFileSync('mount', ['-t', 'tmpfs', 'none', `${work.dir}/shared`])
    shared = `${work.dir}/shared`
    execFileSync('mount', ['--make-shared', shared])
    mkdirSync(`${shared}/later`)
    await (await work.engine()).volumes.create({ name: `${work.id}-outside` })
    work.write({ '.env': `OUTSIDE=${work.id}-outside\n` })
  },
  file: {
    volumes: {
      data: { labels: { made: 'here' } },
      parts: {},
      bound: { driver: 'local', driver_opts: { type: 'none', o: 'bind', device: './device' } },
      memory: { driver_opts: { type: 'tmpfs', o: 'size=2m', device: 'tmpfs' } },
      outside: { external: true, name: variable('OUTSIDE') },
    },
    secrets: { file: { file: './secret.txt' }, token: { environment: 'TOKEN' } },
    configs: {
      file: { file: './conf.txt' },
      text: { content: `line ${variable('TOKEN')}\n` },
      env: { environment: 'TOKEN' },
    },
  },
  cases: [
    {
      name: 'volumes: bind, short and read-only',
      service: { volumes: ['./in:/in:ro'] },
      probe: 'cat /in/a.txt; touch /in/b',
      seen: /^from the host.*Read-only file system/s,
    },
    {
      name: 'volumes: bind makes the host folder',
      service: { volumes: ['./fresh:/fresh'] },
      seen: ({ work }) => expect(existsSync(`${work.dir}/fresh`)).toBe(true),
    },
    {
      name: 'volumes: bind propagation',
      service: {
        volumes: [
          { type: 'bind', source: './shared', target: '/slave', bind: { propagation: 'rslave' } },
          { type: 'bind', source: './shared', target: '/alone' },
        ],
      },
      seen: ({ container }) => {
        execFileSync('mount', ['-t', 'tmpfs', 'none', `${shared}/later`])
        try {
          writeFileSync(`${shared}/later/file`, '')
          const inside = (path: string): boolean => existsSync(`/proc/${container.state.pid}/root${path}/later/file`)
          expect([inside('/slave'), inside('/alone')]).toEqual([true, false])
        } finally {
          execFileSync('umount', [`${shared}/later`])
        }
      },
    },
    {
      name: 'volumes: a named one is filled from the image',
      service: { volumes: ['data:/bin2', { type: 'volume', source: 'parts', target: '/etc', volume: {} }] },
      probe: 'grep -c root /etc/passwd',
      seen: ({ inside, container }) => {
        expect(Number(inside)).toBeGreaterThan(0)
        expect(container.mounts.find((one) => one.target === '/bin2')?.name).toMatch(/_data$/)
      },
    },
    {
      name: 'volumes: nocopy leaves it empty',
      service: { volumes: [{ type: 'volume', target: '/home', volume: { nocopy: true } }] },
      probe: 'ls -A /home | wc -l',
      seen: '0',
    },
    {
      name: 'volumes: subpath of a volume',
      service: {
        depends_on: ['s6'],
        volumes: [{ type: 'volume', source: 'bound', target: '/sub', volume: { subpath: 'deep/er' } }],
      },
      probe: 'cat /sub/file',
      seen: 'inner',
    },
    {
      name: 'volumes: local driver with a bound device',
      service: {
        volumes: ['bound:/dev-folder'],
        post_start: [{ command: ['sh', '-c', 'mkdir -p /dev-folder/deep/er; echo inner > /dev-folder/deep/er/file'] }],
      },
      seen: ({ work }) => expect(readFileSync(`${work.dir}/device/deep/er/file`, 'utf8')).toBe('inner\n'),
    },
    {
      name: 'volumes: local driver with a tmpfs',
      service: { volumes: ['memory:/memory'] },
      probe: "df -k /memory | awk 'NR==2{print $1, $2}'",
      seen: 'tmpfs 2048',
    },
    {
      name: 'volumes: external',
      service: { volumes: ['outside:/outside'] },
      seen: ({ container, work }) => expect(container.mounts[0]?.name).toBe(`${work.id}-outside`),
    },
    {
      name: 'volumes: tmpfs with size and mode',
      service: { volumes: [{ type: 'tmpfs', target: '/t', tmpfs: { size: '5m', mode: 0o1770 } }] },
      probe: "df -k /t | awk 'NR==2{print $2}'; stat -c %a /t",
      seen: '5120\n1770',
    },
    {
      name: 'volumes: an image and a part of it',
      service: {
        volumes: [
          { type: 'image', source: 'busybox', target: '/whole' },
          { type: 'image', source: 'busybox', target: '/part', image: { subpath: 'bin' } },
        ],
      },
      probe: 'test -e /whole/bin/sh && test -e /part/sh && echo there; touch /whole/x',
      seen: /^there\n.*Read-only/,
    },
    {
      name: 'volumes: anonymous',
      service: { volumes: ['/anonymous'] },
      seen: ({ container }) =>
        expect(container.mounts[0]).toMatchObject({ kind: 'volume', anonymous: true, target: '/anonymous' }),
    },
    {
      name: 'volumes_from, read-only',
      service: { volumes_from: ['s0', 's7:ro'] },
      probe: 'cat /in/a.txt; touch /memory/x',
      seen: /^from the host.*Read-only/s,
    },
    {
      name: 'secrets: a file and a variable with owner and mode',
      service: { secrets: ['file', { source: 'token', target: 'tok', uid: '103', gid: '104', mode: 0o440 }] },
      probe: 'cat /run/secrets/file; echo; cat /run/secrets/tok; echo; stat -c "%u %g %a" /run/secrets/tok',
      seen: 's3cret\nt0ken\n103 104 440',
    },
    {
      name: 'configs: a file, content and a variable',
      service: { configs: ['file', { source: 'text', target: '/etc/text', uid: '5', mode: 0o400 }, 'env'] },
      probe: 'cat /file; echo; cat /etc/text /env; echo; stat -c "%u %a" /etc/text',
      seen: 'a=b\nline t0ken\nt0ken\n5 400',
    },
    {
      name: 'volumes: mount options in the kernel',
      service: { volumes: ['./in:/ro-in:ro', './in:/rw-in'] },
      probe: `${mountOptions('/ro-in')} | grep -c ' ro,'; ${mountOptions('/rw-in')} | grep -c ' rw,'`,
      seen: '1\n1',
    },
    {
      name: 'volumes: bind recursive: disabled shows no mounts below',
      service: { volumes: [{ type: 'bind', source: '/', target: '/host', bind: { recursive: 'disabled' } }] },
      probe: 'ls -A /host/proc | wc -l',
      seen: '0',
    },
  ],
})

// Before the project is taken down, which is registered earlier.
afterAll(() => {
  if (shared) execFileSync('umount', ['-l', shared])
})
