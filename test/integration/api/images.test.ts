import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ApiServer, listenApi } from '../../../src/api/server.ts'
import { createWorkspace, type Workspace } from '../../support/workspace.ts'
import { startRegistry, type TestRegistry } from '../store/registry-server.ts'
import { type ApiClient, createApiClient, jsonLines, tarOf } from './client.ts'

let workspace: Workspace
let server: ApiServer
let api: ApiClient
let registry: TestRegistry

beforeAll(async () => {
  ;[workspace, registry] = await Promise.all([createWorkspace(['busybox']), startRegistry({ htpasswd: true })])
  const engine = await workspace.engine()
  server = await listenApi(engine, { path: workspace.paths.apiSocket, version: '0.0.0', env: workspace.env })
  api = createApiClient(workspace.paths.apiSocket)
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await registry?.[Symbol.asyncDispose]()
  await workspace?.[Symbol.asyncDispose]()
})

const good = { username: 'tester', password: 'secret' }

function auth(credentials: object): Readonly<Record<string, string>> {
  return { 'X-Registry-Auth': Buffer.from(JSON.stringify(credentials)).toString('base64url') }
}

/** Runs a command in an image without a network until it ends. @returns the container's id and what it wrote */
async function run(image: string, command?: readonly string[]): Promise<{ readonly id: string; readonly out: string }> {
  const made = await api.call('POST', '/containers/create', {
    Image: image,
    Tty: true,
    ...(command ? { Cmd: command } : {}),
    HostConfig: { NetworkMode: 'none' },
  })
  expect(made.status, made.text).toBe(201)
  const id = made.body.Id as string
  const started = await api.call('POST', `/containers/${id}/start`)
  expect(started.status, started.text).toBe(204)
  await api.call('POST', `/containers/${id}/wait`)
  const { text } = await api.call('GET', `/containers/${id}/logs?stdout=1`)
  return { id, out: text.replaceAll('\r', '') }
}

const remove = (id: string) => api.call('DELETE', `/containers/${id}?force=1`)

test('a login is tried at the registry', async () => {
  const serveraddress = registry.host
  expect(await api.call('POST', '/auth', { ...good, serveraddress })).toMatchObject({
    status: 200,
    body: { Status: 'Login Succeeded' },
  })
  expect(await api.call('POST', '/auth', { ...good, password: 'wrong', serveraddress })).toMatchObject({
    status: 401,
    body: { message: `login to ${registry.host} failed: incorrect username or password` },
  })
  expect((await api.call('POST', '/auth', { serveraddress })).status).toBe(400)
})

test('a commit adds what the container changed, and its configuration with changes', async () => {
  const { id } = await run('busybox', ['sh', '-c', 'echo new >/made; rm -r /tmp; echo mine >/etc/motd'])
  const query = `container=${id}&repo=committed&tag=v1&author=me&comment=why&changes=${encodeURIComponent('ENV A=b c=d\nCMD ["cat", "/made"]')}`
  const made = await api.call('POST', `/commit?${query}`, { Labels: { given: 'yes' }, User: '1' })
  expect(made.status, made.text).toBe(201)
  const filters = encodeURIComponent(JSON.stringify({ container: [id], event: ['commit'] }))
  const until = (Date.now() / 1000 + 1).toFixed(3)
  const told = await api.call('GET', `/events?since=1&until=${until}&filters=${filters}`)
  expect(jsonLines(told.text)).toMatchObject([{ Actor: { Attributes: { imageID: made.body.Id, comment: 'why' } } }])
  await remove(id)

  const base = (await api.call('GET', '/images/busybox/json')).body as { RootFS: { Layers: string[] } }
  const image = (await api.call('GET', '/images/committed:v1/json')).body as typeof base
  expect(image).toMatchObject({
    Id: made.body.Id,
    Author: 'me',
    Comment: 'why',
    Config: { Cmd: ['cat', '/made'], Env: expect.arrayContaining(['A=b', 'c=d']), Labels: { given: 'yes' }, User: '1' },
  })
  expect(image.RootFS.Layers.slice(0, -1)).toEqual(base.RootFS.Layers)
  const plain = await run('committed:v1')
  const seen = await run('committed:v1', ['sh', '-c', 'cat /made /etc/motd; ls -d /tmp; id -u'])
  expect(plain.out).toBe('new\n')
  expect(seen.out).toBe('new\nmine\nls: /tmp: No such file or directory\n1\n')
  for (const one of [plain, seen]) await remove(one.id)
  expect((await api.call('DELETE', '/images/committed:v1')).status).toBe(200)
  expect((await api.call('POST', '/commit?container=none', {})).status).toBe(404)
})

describe('a build', () => {
  test('takes a tar and tells its steps, its output, its image and its names', async () => {
    const context = tarOf({
      'sub/Dockerfile': 'FROM busybox\nARG WHO\nCOPY note /note\nRUN echo "built for $WHO"\nCMD ["cat", "/note"]\n',
      note: 'hello\n',
    })
    const query = `t=built:v1&dockerfile=sub/Dockerfile&buildargs=${encodeURIComponent('{"WHO":"you"}')}&labels=${encodeURIComponent('{"a":"b"}')}`
    const answer = await api.call('POST', `/v1.41/build?${query}`, context)
    expect(answer.status, answer.text).toBe(200)
    const told = jsonLines(answer.text)
    const text = told.map(({ stream }) => stream ?? '').join('')
    expect(text).toMatch(/^Step \d+\/\d+ : RUN echo/m)
    expect(text).toContain('built for you\n')
    expect(text).toMatch(/^Successfully built [0-9a-f]{12}\nSuccessfully tagged built:v1\n$/m)
    const image = (await api.call('GET', '/images/built:v1/json')).body
    expect(told).toContainEqual({ aux: { ID: image.Id } })
    expect(image).toMatchObject({ Config: { Cmd: ['cat', '/note'], Labels: { a: 'b' } } })
    const { id, out } = await run('built:v1')
    expect(out).toBe('hello\n')
    await remove(id)

    const again = await api.call('POST', `/v1.41/build?${query}&q=1`, context)
    expect(jsonLines(again.text)).toContainEqual({ stream: `${image.Id}\n` })
  })

  test('that fails says so in its stream; what cannot be built at all has a status', async () => {
    const failing = await api.call('POST', '/build', tarOf({ Dockerfile: 'FROM busybox\nRUN exit 7\n' }))
    expect(failing.status).toBe(200)
    expect(jsonLines(failing.text).at(-1)).toMatchObject({
      error: expect.stringContaining('exit code: 7'),
      errorDetail: { code: 7 },
    })
    const bad = await api.call('POST', '/build', tarOf({ Dockerfile: 'NONSENSE x\n' }))
    expect(bad).toMatchObject({ status: 400, body: { message: expect.stringContaining('NONSENSE') } })
    expect(await api.call('POST', '/build?memory=1000', tarOf({}))).toMatchObject({
      status: 501,
      body: { message: 'build parameter memory is not supported' },
    })
  })
})

test('an image is pushed and pulled with the credentials of the client, and looked at where it is', async () => {
  const name = `${registry.host}/some/image`
  const path = `/images/${name}`
  expect((await api.call('POST', `/images/busybox/tag?repo=${name}&tag=v1`)).status).toBe(201)
  const refused = await api.call('POST', `${path}/push?tag=v1`)
  expect(jsonLines(refused.text).at(-1)?.error).toMatch(/denied|authentication/)
  const pushed = await api.call('POST', `${path}/push?tag=v1`, undefined, auth(good))
  const digest = (jsonLines(pushed.text).at(-1)?.aux as { Digest: string } | undefined)?.Digest
  expect(digest, pushed.text).toMatch(/^sha256:/)

  expect((await api.call('GET', `/distribution/${name}:v1/json`, undefined, auth(good))).body).toMatchObject({
    Descriptor: { digest, mediaType: 'application/vnd.oci.image.manifest.v1+json', size: expect.any(Number) },
    Platforms: [{ os: 'linux' }],
  })
  expect((await api.call('GET', `/distribution/${name}:v1/json`)).status).toBe(403)

  expect((await api.call('DELETE', `${path}:v1`)).status).toBe(200)
  const create = `/images/create?fromImage=${name}&tag=v1`
  // Refused before anything flows: by status.
  expect((await api.call('POST', create)).status).toBe(403)
  expect((await api.call('POST', `/images/create?fromImage=${name}&tag=none`, undefined, auth(good))).status).toBe(404)
  const statuses = async () =>
    jsonLines((await api.call('POST', create, undefined, auth(good))).text).map(({ status }) => status)
  expect(await statuses()).toEqual(expect.arrayContaining([`Pulling from ${name}`, `Digest: ${digest}`]))
  expect((await statuses()).at(-1)).toBe(`Status: Image is up to date for ${name}:v1`)
  expect((await api.call('GET', `${path}:v1/json`)).body).toMatchObject({ RepoDigests: [`${name}@${digest}`] })
  await api.call('DELETE', `${path}:v1`)
})

test('a build pulls its base with the credentials of the client', async () => {
  const name = `${registry.host}/base/image:v1`
  await api.call('POST', `/images/busybox/tag?repo=${registry.host}/base/image&tag=v1`)
  await api.call('POST', `/images/${registry.host}/base/image/push?tag=v1`, undefined, auth(good))
  await api.call('DELETE', `/images/${name}`)
  const context = tarOf({ Dockerfile: `FROM ${name}\nLABEL a=b\n` })
  const refused = await api.call('POST', '/build', context)
  expect(refused.text).toMatch(/denied|authentication/)
  const config = Buffer.from(JSON.stringify({ [registry.host]: good })).toString('base64url')
  const built = await api.call('POST', '/build', context, { 'X-Registry-Config': config })
  expect(built.text).toContain('Successfully built')
  await api.call('DELETE', `/images/${name}`)
})

test('images are saved, loaded and imported', async () => {
  await api.call('POST', '/images/busybox/tag?repo=saved&tag=v1')
  const archive = await api.call('GET', '/images/saved:v1/get')
  expect(archive.headers['content-type']).toBe('application/x-tar')
  const id = (await api.call('GET', '/images/saved:v1/json')).body.Id
  await api.call('DELETE', '/images/saved:v1')
  const loaded = await api.call('POST', '/images/load?quiet=1', Buffer.from(archive.text, 'latin1'))
  expect(jsonLines(loaded.text)).toEqual([{ stream: 'Loaded image: saved:v1\n' }])
  expect((await api.call('GET', '/images/saved:v1/json')).body.Id).toBe(id)
  expect((await api.call('GET', '/images/get?names=none')).status).toBe(404)

  const changes = encodeURIComponent('LABEL imported=yes')
  const imported = await api.call(
    'POST',
    `/images/create?fromSrc=-&repo=imported&tag=v1&changes=${changes}`,
    tarOf({ file: 'text' }),
  )
  expect(imported.status, imported.text).toBe(200)
  expect((await api.call('GET', '/images/imported:v1/json')).body).toMatchObject({
    Config: { Labels: { imported: 'yes' } },
  })
  for (const name of ['saved:v1', 'imported:v1']) await api.call('DELETE', `/images/${name}`)
})

test('disk use is measured, and prunes heed labels and times', async () => {
  const volume = await api.call('POST', '/volumes/create', { Labels: { keep: 'me' } })
  const { id } = await run('busybox', ['sh', '-c', 'head -c 100000 /dev/zero >/big'])
  await run('busybox', ['true']).then((other) => remove(other.id))
  const use = (await api.call('GET', '/system/df')).body as Record<string, Record<string, unknown>[]> & {
    LayersSize: number
  }
  expect(use.LayersSize).toBeGreaterThan(100_000)
  expect(use.Images).toContainEqual(expect.objectContaining({ RepoTags: ['busybox:latest'], Containers: 1 }))
  const measured = use.Containers?.find((one) => one.Id === id)
  expect(measured?.SizeRw).toBeGreaterThanOrEqual(100_000)
  expect(measured?.SizeRw).toBeLessThan(150_000)
  expect((await api.call('GET', `/containers/${id}/json?size=1`)).body.SizeRw).toBe(measured?.SizeRw)
  expect(use.Volumes).toContainEqual(
    expect.objectContaining({ Name: volume.body.Name, UsageData: { Size: expect.any(Number), RefCount: 0 } }),
  )
  expect(Object.keys((await api.call('GET', '/system/df?type=volume')).body)).toEqual(['Volumes'])

  const filters = (value: object) => encodeURIComponent(JSON.stringify(value))
  const old = await api.call('POST', `/containers/prune?filters=${filters({ until: ['1h'] })}`)
  expect(old.body).toEqual({ ContainersDeleted: null, SpaceReclaimed: 0 })
  const gone = await api.call('POST', '/containers/prune')
  expect(gone.body).toEqual({ ContainersDeleted: [id], SpaceReclaimed: measured?.SizeRw })
  const spared = await api.call('POST', `/volumes/prune?filters=${filters({ 'label!': ['keep=me'] })}`)
  expect(spared.body.VolumesDeleted).toBe(null)
  const pruned = await api.call('POST', '/volumes/prune')
  expect(pruned.body.VolumesDeleted).toEqual([volume.body.Name])

  await api.call('POST', '/build?t=labelled:v1', tarOf({ Dockerfile: 'FROM busybox\nLABEL stay=1\n' }))
  const prune = async (selection: object) =>
    (await api.call('POST', `/images/prune?filters=${filters({ dangling: ['0'], ...selection })}`)).body
      .ImagesDeleted as readonly { Untagged?: string }[] | null
  const names = (list: Awaited<ReturnType<typeof prune>>) => (list ?? []).map(({ Untagged }) => Untagged)
  expect(names(await prune({ 'label!': ['stay'] }))).not.toContain('labelled:v1')
  expect(names(await prune({ label: ['stay=1'] }))).toContain('labelled:v1')
})
