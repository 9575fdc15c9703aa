import { statSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ApiServer, listenApi } from '../../../src/api/server.ts'
import { eventually } from '../../support/eventually.ts'
import { createWorkspace, type Workspace } from '../../support/workspace.ts'
import { type ApiClient, createApiClient, readAll, tarOf, unframe } from './client.ts'

let workspace: Workspace
let server: ApiServer
let api: ApiClient

beforeAll(async () => {
  workspace = await createWorkspace(['busybox'])
  const engine = await workspace.engine()
  server = await listenApi(engine, { path: workspace.paths.apiSocket, version: '0.0.0' })
  api = createApiClient(workspace.paths.apiSocket)
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await workspace?.[Symbol.asyncDispose]()
})

let count = 0
async function create(command: string, extra: Record<string, unknown> = {}): Promise<string> {
  const { HostConfig, ...rest } = extra
  const answer = await api.call('POST', `/v1.43/containers/create?name=${workspace.id}-${count++}`, {
    Image: 'busybox',
    Cmd: ['sh', '-c', command],
    HostConfig: { NetworkMode: 'none', ...(HostConfig as object) },
    ...rest,
  })
  expect(answer.status, answer.text).toBe(201)
  return answer.body.Id as string
}

async function remove(id: string): Promise<void> {
  expect((await api.call('DELETE', `/containers/${id}?force=1&v=1`)).status).toBe(204)
}

describe('the protocol', () => {
  test('ping tells the version, also to HEAD, and the socket is not for everybody', async () => {
    for (const method of ['GET', 'HEAD']) {
      const answer = await api.call(method, '/_ping')
      expect(answer.status).toBe(200)
      expect(answer.headers).toMatchObject({ 'api-version': '1.51', ostype: 'linux', 'builder-version': '1' })
      expect(answer.text).toBe(method === 'GET' ? 'OK' : '')
    }
    expect(statSync(workspace.paths.apiSocket).mode & 0o777).toBe(0o660)
  })

  test('versions from 1.21 to ours are served, others refused in the words of Docker', async () => {
    for (const version of ['1.21', '1.51']) expect((await api.call('GET', `/v${version}/version`)).status).toBe(200)
    expect(await api.call('GET', '/v1.99/version')).toMatchObject({
      status: 400,
      body: { message: 'client version 1.99 is too new. Maximum supported API version is 1.51' },
    })
    expect((await api.call('GET', '/v1.12/version')).status).toBe(400)
  })

  test('unknown paths, double slashes, bad JSON, bad filters', async () => {
    expect(await api.call('GET', '/nowhere')).toMatchObject({ status: 404, body: { message: 'page not found' } })
    const redirected = await api.call('GET', '//version?a=b')
    expect(redirected).toMatchObject({ status: 301, headers: { location: '/version?a=b' } })
    expect((await api.call('POST', '/containers/create', Buffer.from('{'))).status).toBe(400)
    expect((await api.call('GET', '/containers/json?filters={"nonsense":["x"]}')).status).toBe(400)
    expect((await api.call('GET', '/swarm')).status).toBe(503)
  })

  test('info and version are about this engine', async () => {
    expect((await api.call('GET', '/info')).body).toMatchObject({ Driver: 'overlay2', OSType: 'linux', Images: 1 })
    expect((await api.call('GET', '/version')).body).toMatchObject({ ApiVersion: '1.51', MinAPIVersion: '1.24' })
  })
})

describe('a container', () => {
  test('is attached to, waited for and started as the docker CLI does it, and nothing is lost', async () => {
    const id = await create('read line; echo "got $line"; echo oops >&2; exit 3', { OpenStdin: true, StdinOnce: true })
    const { answer, socket } = await api.hijack(`/v1.43/containers/${id}/attach?stream=1&stdin=1&stdout=1&stderr=1`)
    expect(answer.headers['content-type']).toBe('application/vnd.docker.multiplexed-stream')
    const waiting = await api.open('POST', `/v1.43/containers/${id}/wait?condition=next-exit`)
    expect((await api.call('POST', `/containers/${id}/start`)).status).toBe(204)
    expect((await api.call('POST', `/containers/${id}/start`)).status).toBe(304)
    socket.write('hello\n')
    expect(unframe(await readAll(socket))).toEqual({ stdout: 'got hello\n', stderr: 'oops\n' })
    expect(JSON.parse((await readAll(waiting)).toString())).toMatchObject({ StatusCode: 3 })

    const logs = await api.call('GET', `/v1.43/containers/${id}/logs?stdout=1&stderr=1`)
    expect(unframe(Buffer.from(logs.text, 'latin1'))).toEqual({ stdout: 'got hello\n', stderr: 'oops\n' })
    const { body } = await api.call('GET', `/containers/${id.slice(0, 12)}/json`)
    expect(body).toMatchObject({ Id: id, State: { Status: 'exited', ExitCode: 3, Running: false }, RestartCount: 0 })
    await remove(id)
    expect((await api.call('GET', `/containers/${id}/json`)).status).toBe(404)
  })

  test('a terminal is raw both ways', async () => {
    const id = await create('stty size; read x; echo "[$x]"', { Tty: true, OpenStdin: true })
    const { answer, socket } = await api.hijack(`/containers/${id}/attach?stream=1&stdin=1&stdout=1`)
    expect(answer.headers['content-type']).toBe('application/vnd.docker.raw-stream')
    await api.call('POST', `/containers/${id}/start`)
    socket.write('word\n')
    expect((await readAll(socket)).toString()).toMatch(/\[word\]\r\n$/)
    await remove(id)
  })

  test('exec runs in it, over an upgrade, and its exit code is kept', async () => {
    const id = await create('sleep 600')
    await api.call('POST', `/containers/${id}/start`)
    const made = await api.call('POST', `/containers/${id}/exec`, {
      Cmd: ['sh', '-c', 'cat; echo "$X" >&2; exit 5'],
      Env: ['X=y'],
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
    })
    expect(made.status).toBe(201)
    const exec = made.body.Id as string
    const { socket } = await api.hijack(`/exec/${exec}/start`, { Detach: false, Tty: false })
    // Half-closing ends its stdin; the output still comes.
    socket.end('through')
    expect(unframe(await readAll(socket))).toEqual({ stdout: 'through', stderr: 'y\n' })
    await eventually(async () => {
      expect((await api.call('GET', `/exec/${exec}/json`)).body).toMatchObject({ Running: false, ExitCode: 5 })
    })
    const second = await api.call('POST', `/exec/${exec}/start`, {})
    expect(second.status).toBe(409)
    await remove(id)
  })

  test('lists select by state, label and name', async () => {
    const label = { Labels: { 'test.api': workspace.id } }
    const one = await create('sleep 600', label)
    const two = await create('true', label)
    await api.call('POST', `/containers/${one}/start`)
    const list = async (filters: Record<string, string[]>, all = 1): Promise<string[]> => {
      const answer = await api.call(
        'GET',
        `/containers/json?all=${all}&filters=${encodeURIComponent(JSON.stringify(filters))}`,
      )
      return (answer.body as unknown as { Id: string }[]).map(({ Id }) => Id)
    }
    const mine = { label: [`test.api=${workspace.id}`] }
    expect(await list(mine)).toEqual([two, one])
    expect(await list(mine, 0)).toEqual([one])
    expect(await list({ ...mine, status: ['created'] })).toEqual([two])
    expect(await list({ ...mine, before: [two] })).toEqual([one])
    expect(await list({ name: [`^/${workspace.id}-`], id: [two] })).toEqual([two])
    for (const id of [one, two]) await remove(id)
  })

  test('files go in and out as archives', async () => {
    const id = await create('sleep 600')
    const tar = tarOf({ 'note.txt': 'hello' })
    expect((await api.call('PUT', `/containers/${id}/archive?path=/tmp`, tar)).status).toBe(200)
    const head = await api.call('HEAD', `/containers/${id}/archive?path=/tmp/note.txt`)
    const stat = JSON.parse(Buffer.from(head.headers['x-docker-container-path-stat'] as string, 'base64').toString())
    expect(stat).toMatchObject({ name: 'note.txt', size: 5, mode: 0o644 })
    const got = await api.call('GET', `/containers/${id}/archive?path=/tmp/note.txt`)
    expect(got.text).toContain('note.txt')
    expect(got.text).toContain('hello')
    await remove(id)
  })

  test('what it may not do is said with the right status', async () => {
    expect((await api.call('POST', '/containers/nope/start')).status).toBe(404)
    expect((await api.call('POST', '/containers/create?name=x-y', { Image: 'no/such:image' })).status).toBe(404)
    const id = await create('true')
    expect((await api.call('POST', `/containers/${id}/exec`, { Cmd: ['true'] })).status).toBe(409)
    expect((await api.call('POST', `/containers/${id}/kill`)).status).toBe(409)
    const again = await api.call('POST', `/containers/create?name=${workspace.id}-${count - 1}`, { Image: 'busybox' })
    expect(again.status).toBe(409)
    expect(again.body.message).toContain('is already in use by container')
    await remove(id)
  })
})

test('networks and volumes come and go, and events tell of it', async () => {
  const events = await api.open('GET', `/events?filters=${encodeURIComponent('{"type":["network","volume"]}')}`)
  const seen: string[] = []
  events.on('data', (chunk: Buffer) => {
    for (const line of chunk.toString().trim().split('\n')) {
      const event = JSON.parse(line) as { Type: string; Action: string }
      seen.push(`${event.Type} ${event.Action}`)
    }
  })
  const name = `${workspace.id}-net`
  const made = await api.call('POST', '/networks/create', { Name: name, Labels: { a: 'b' } })
  expect(made.status, made.text).toBe(201)
  expect((await api.call('POST', '/networks/create', { Name: name })).status).toBe(409)
  expect((await api.call('GET', `/networks/${name}`)).body).toMatchObject({
    Name: name,
    Driver: 'bridge',
    Labels: { a: 'b' },
  })
  const volume = await api.call('POST', '/volumes/create', { Name: `${workspace.id}-vol` })
  expect(volume.status).toBe(201)
  expect((await api.call('DELETE', `/volumes/${workspace.id}-vol`)).status).toBe(204)
  expect((await api.call('DELETE', `/networks/${made.body.Id}`)).status).toBe(204)
  await eventually(() => {
    expect(seen).toEqual(
      expect.arrayContaining(['network create', 'volume create', 'volume destroy', 'network destroy']),
    )
  })
  events.destroy()
})

test('images are listed, shown, tagged and untagged', async () => {
  const list = (await api.call('GET', '/images/json')).body as unknown as { RepoTags: string[]; Id: string }[]
  expect(list.map(({ RepoTags }) => RepoTags)).toEqual([['busybox:latest']])
  expect((await api.call('GET', '/images/busybox/json')).body).toMatchObject({ Id: list[0]?.Id, Os: 'linux' })
  expect((await api.call('POST', '/images/busybox/tag?repo=some/where&tag=v1')).status).toBe(201)
  expect((await api.call('DELETE', '/images/some/where:v1')).body).toEqual([{ Untagged: 'some/where:v1' }])
  expect((await api.call('GET', '/images/none/json')).status).toBe(404)
})
