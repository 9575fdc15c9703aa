import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readlinkSync } from 'node:fs'
import { createServer as createHttpServer, type Server } from 'node:http'
import { type AddressInfo, connect, createServer, type Server as SocketServer } from 'node:net'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Image } from '../../../src/engine/images/types.ts'
import { readRootFile } from '../../../src/runtime/root-reader.ts'
import { createWorkspace, type Workspace } from '../../support/workspace.ts'

const foreign = process.arch === 'arm64' ? 'amd64' : 'arm64'
const AGENT_SAYS = 'the agent is here'
const UUID = 'cat /proc/sys/kernel/random/uuid'
/** CAP_SYS_ADMIN, which a step has only when it is privileged. */
const isPrivileged = (status: string | undefined): boolean =>
  ((BigInt(`0x${/CapEff:\s*(\w+)/.exec(status ?? '')?.[1]}`) >> 21n) & 1n) === 1n

let work: Workspace
let agent: SocketServer
let server: Server
/** The images after the first build, by service, and what the second one made of two of them. */
let first: ReadonlyMap<string, Image>
let second: ReadonlyMap<string, Image>
const lowersOf = new Map<string, readonly string[]>()

beforeAll(async () => {
  work = await createWorkspace()
  agent = createServer((client) => client.on('error', () => {}).end(AGENT_SAYS))
  await new Promise<void>((resolve) => agent.listen(join(work.dir, 'agent.sock'), resolve))
  server = createHttpServer((request, response) => {
    if (request.url !== '/ssh') {
      const { type, body } = registry(request.url ?? '')
      const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`
      response.writeHead(200, { 'content-type': type, 'content-length': body.length, 'docker-content-digest': digest })
      response.end(request.method === 'HEAD' ? undefined : body)
      return
    }
    // The socket that the running step has, from the other side.
    throughSocket(find(work.paths.run, /^ssh-\d+$/) ?? '').then(
      (text) => response.end(text),
      (error: unknown) => response.writeHead(500).end(String(error)),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const registryHost = `127.0.0.1:${port}`
  const engine = await work.engine()
  const busybox = await engine.images.find('busybox')
  for (const name of ['asked', 'kept']) await engine.images.tag(busybox?.id ?? '', `${registryHost}/${name}:latest`)
  mkdirSync(join(work.dir, 'more'))
  work.write({
    'context/file.txt': 'from the context',
    'context/Own.Dockerfile': [
      'FROM busybox AS wanted',
      'ARG WORD=none',
      'COPY file.txt /file',
      'COPY --from=more extra.txt /extra',
      'RUN echo "$WORD" > /word; grep peer.test /etc/hosts > /hosts; ls /sys/class/net > /links',
      "RUN df -k /dev/shm | awk 'NR==2{print $2}' > /shm; grep CapEff /proc/self/status > /caps",
      "RUN awk '/open files|processes/{print $(NF-2), $(NF-1)}' /proc/self/limits > /limits",
      'RUN --mount=type=secret,id=tok --mount=type=secret,id=key cat /run/secrets/tok /run/secrets/key > /secrets',
      'FROM wanted',
      'RUN echo too far > /later',
    ].join('\n'),
    'more/extra.txt': 'from beside',
    'key.txt': 'k3y',
    'compose.yaml': JSON.stringify({
      services: {
        whole: {
          build: {
            context: './context',
            dockerfile: 'Own.Dockerfile',
            target: 'wanted',
            args: { WORD: 'given' },
            labels: { 'test.label': 'set' },
            tags: [`${work.id}/other:1`],
            additional_contexts: { more: './more' },
            network: 'none',
            shm_size: '9m',
            ulimits: { nproc: 111, nofile: { soft: 222, hard: 333 } },
            extra_hosts: ['peer.test=192.0.2.5'],
            secrets: [{ source: 'token', target: 'tok' }, 'key'],
          },
        },
        onward: {
          build: {
            context: './context',
            additional_contexts: { start: 'service:whole' },
            network: 'host',
            ssh: [`mine=${join(work.dir, 'agent.sock')}`],
            dockerfile_inline: [
              'FROM start',
              'RUN readlink /proc/self/ns/net > /netns',
              `RUN --mount=type=ssh,id=mine test -S "$$SSH_AUTH_SOCK" && wget -q -O /heard http://${registryHost}/ssh`,
            ].join('\n'),
          },
        },
        privileged: inline('RUN grep CapEff /proc/self/status > /caps', { privileged: true }),
        entitled: inline('RUN --security=insecure grep CapEff /proc/self/status > /caps', {
          entitlements: ['security.insecure'],
        }),
        foreign: inline('COPY file.txt /', { platforms: [`linux/${foreign}`] }, 'scratch'),
        platform: { ...inline('COPY file.txt /', {}, 'scratch'), platform: `linux/${foreign}` },
        fresh: inline(`RUN ${UUID} > /fresh`, { no_cache: true }),
        filtered: inline(
          `RUN ${UUID} > /same\nFROM busybox AS again\nRUN ${UUID} > /new\nFROM busybox\nCOPY --from=0 /same /\nCOPY --from=again /new /`,
          { no_cache_filter: ['again'] },
        ),
        asked: inline('COPY file.txt /', { pull: true }, `${registryHost}/asked`),
        kept: inline('COPY file.txt /', {}, `${registryHost}/kept`),
      },
      secrets: { token: { environment: 'TOKEN' }, key: { file: './key.txt' } },
    }),
  })
  await work.ok(['build'], { env: { TOKEN: 't0ken-' } })
  first = await images()
  await work.ok(['build', 'fresh', 'filtered'], { env: { TOKEN: 't0ken-' } })
  second = await images()
}, 240_000)

afterAll(async () => {
  server?.close()
  server?.closeAllConnections()
  agent?.close()
  await work?.[Symbol.asyncDispose]()
}, 120_000)

function inline(steps: string, build: Readonly<Record<string, unknown>>, base = 'busybox') {
  return { build: { context: './context', network: 'none', dockerfile_inline: `FROM ${base}\n${steps}`, ...build } }
}

/** Every image of the project by its service, its layers kept in `lowersOf`. */
async function images(): Promise<ReadonlyMap<string, Image>> {
  const engine = await work.engine()
  const found = new Map<string, Image>()
  for (const service of [
    'whole',
    'onward',
    'privileged',
    'entitled',
    'foreign',
    'platform',
    'fresh',
    'filtered',
    'asked',
    'kept',
  ]) {
    const image = await engine.images.find(`project-${service}`)
    if (!image) throw new Error(`no image of ${service}`)
    found.set(service, image)
    if (image.config.architecture !== foreign) lowersOf.set(image.id, (await engine.images.root(image.id)).lowers)
  }
  return found
}

function file(service: string, path: string, from = first): string | undefined {
  return readRootFile(lowersOf.get(from.get(service)?.id ?? '') ?? [], path)
}

/** An image that is newer than the one here: one empty layer and a label. */
function registry(url: string): { readonly type: string; readonly body: Buffer } {
  const digestOf = (data: Buffer): string => `sha256:${createHash('sha256').update(data).digest('hex')}`
  const tar = Buffer.alloc(1024)
  const layer = gzipSync(tar)
  const architecture = foreign === 'amd64' ? 'arm64' : 'amd64'
  const config = Buffer.from(
    JSON.stringify({
      architecture,
      os: 'linux',
      config: { Labels: { age: 'new' } },
      rootfs: { type: 'layers', diff_ids: [digestOf(tar)] },
    }),
  )
  const kind = 'application/vnd.oci.image'
  const descriptor = (mediaType: string, data: Buffer) => ({ mediaType, digest: digestOf(data), size: data.length })
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: `${kind}.manifest.v1+json`,
      config: descriptor(`${kind}.config.v1+json`, config),
      layers: [descriptor(`${kind}.layer.v1.tar+gzip`, layer)],
    }),
  )
  if (url.includes('/manifests/')) return { type: `${kind}.manifest.v1+json`, body: manifest }
  const blob = [config, layer].find((data) => url.endsWith(digestOf(data)))
  return { type: 'application/octet-stream', body: blob ?? Buffer.alloc(0) }
}

function find(directory: string, name: RegExp): string | undefined {
  const entries = readdirSync(directory, { recursive: true, encoding: 'utf8' })
  const found = entries.find((entry) => name.test(entry.split('/').at(-1) ?? ''))
  return found === undefined ? undefined : join(directory, found)
}

function throughSocket(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    connect(path)
      .on('error', reject)
      .on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
      .on('close', () => resolve(text))
  })
}

test('build: context, dockerfile and target', () => {
  expect(file('whole', '/file')).toBe('from the context')
  expect(file('whole', '/word')).toBeDefined()
  expect(file('whole', '/later')).toBeUndefined()
})

test('build: args, labels and tags', async () => {
  expect(file('whole', '/word')).toBe('given\n')
  expect(first.get('whole')?.config.config?.Labels).toMatchObject({ 'test.label': 'set' })
  const other = await (await work.engine()).images.find(`${work.id}/other:1`)
  expect(other?.id).toBe(first.get('whole')?.id)
})

test('build: additional_contexts, a folder and the image of a service', () => {
  expect(file('whole', '/extra')).toBe('from beside')
  expect(file('onward', '/extra')).toBe('from beside')
})

test('build: dockerfile_inline', () => expect(file('onward', '/netns')).toMatch(/^net:/))

test('build: network none and host', () => {
  expect(file('whole', '/links')).toBe('lo\n')
  expect(file('onward', '/netns')).toBe(`${readlinkSync('/proc/self/ns/net')}\n`)
})

test('build: shm_size, ulimits and extra_hosts', () => {
  expect(file('whole', '/shm')).toBe('9216\n')
  expect(file('whole', '/limits')).toBe('111 111\n222 333\n')
  expect(file('whole', '/hosts')).toMatch(/^192\.0\.2\.5\s+peer\.test\n$/)
})

test('build: secrets, a variable under another id and a file', () =>
  expect(file('whole', '/secrets')).toBe('t0ken-k3y'))

test("build: ssh gives a step the agent's socket", () => expect(file('onward', '/heard')).toBe(AGENT_SAYS))

test('build: privileged, and entitlements for a step that asks', () => {
  expect(['whole', 'privileged', 'entitled'].map((name) => isPrivileged(file(name, '/caps')))).toEqual([
    false,
    true,
    true,
  ])
})

test('build: platforms, and platform of the service', () => {
  expect(first.get('foreign')?.config.architecture).toBe(foreign)
  expect(first.get('platform')?.config.architecture).toBe(foreign)
})

test('build: no_cache runs every step again, no_cache_filter those of its stages', () => {
  expect(file('fresh', '/fresh', second)).toMatch(/^[0-9a-f-]{36}\n$/)
  expect(file('fresh', '/fresh', second)).not.toBe(file('fresh', '/fresh'))
  expect(file('filtered', '/same', second)).toBe(file('filtered', '/same'))
  expect(file('filtered', '/new', second)).toMatch(/^[0-9a-f-]{36}\n$/)
  expect(file('filtered', '/new', second)).not.toBe(file('filtered', '/new'))
})

test('build: pull asks the registry for a newer base', () => {
  expect(first.get('asked')?.config.config?.Labels).toMatchObject({ age: 'new' })
  expect(first.get('kept')?.config.config?.Labels).not.toHaveProperty('age')
})

test.each([
  ['provenance', { provenance: true }, 'provenance'],
  ['sbom', { sbom: true }, 'sbom'],
  ['platforms', { platforms: ['linux/amd64', 'linux/arm64'] }, 'several platforms'],
])('build: %s that is not to be had is refused', async (name, build, words) => {
  const folder = `refused-${name}`
  work.write({
    [`${folder}/compose.yaml`]: JSON.stringify({
      services: { web: { build: { context: '.', dockerfile_inline: 'FROM scratch', ...build } } },
    }),
  })
  const result = await work.tcompose(['build'], { cwd: join(work.dir, folder) })
  expect(result.code).not.toBe(0)
  expect(result.stderr).toContain(words)
})
