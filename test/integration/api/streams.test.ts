import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ApiServer, listenApi } from '../../../src/api/server.ts'
import { eventually } from '../../support/eventually.ts'
import { createWorkspace, type Workspace } from '../../support/workspace.ts'
import { type ApiClient, createApiClient, jsonLines, readAll, unframe } from './client.ts'

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

async function create(command: string, extra: Record<string, unknown> = {}): Promise<string> {
  const made = await api.call('POST', '/containers/create', {
    Image: 'busybox',
    Cmd: ['sh', '-c', command],
    HostConfig: { NetworkMode: 'none' },
    ...extra,
  })
  expect(made.status, made.text).toBe(201)
  return made.body.Id as string
}

const start = async (id: string) => expect((await api.call('POST', `/containers/${id}/start`)).status).toBe(204)
const remove = async (id: string) => expect((await api.call('DELETE', `/containers/${id}?force=1`)).status).toBe(204)

/** Sends a request by hand and reads up to the end of the answer's headers. */
async function askRaw(text: string): Promise<{ readonly head: string; readonly socket: Socket }> {
  const socket = connect({ path: workspace.paths.apiSocket, allowHalfOpen: true })
  socket.write(text)
  let head = ''
  while (!head.includes('\r\n\r\n')) {
    const chunk = socket.read() as Buffer | null
    if (chunk !== null) head += chunk.toString('latin1')
    else if (socket.readableEnded || socket.destroyed) throw new Error(`no answer: ${head}`)
    else await new Promise((resolve) => socket.once('readable', resolve).once('end', resolve))
  }
  const end = head.indexOf('\r\n\r\n') + 4
  if (head.length > end) socket.unshift(Buffer.from(head.slice(end), 'latin1'))
  return { head: head.slice(0, end), socket }
}

test('an attach without Upgrade is the raw connection both ways after the answer', async () => {
  const id = await create('cat; echo end >&2', { OpenStdin: true, StdinOnce: true })
  const { head, socket } = await askRaw(
    `POST /containers/${id}/attach?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`,
  )
  expect(head).toMatch(/^HTTP\/1.1 200 OK\r\nContent-Type: application\/vnd.docker.multiplexed-stream\r\n/)
  await start(id)
  // Nothing that HTTP could be.
  socket.end('GET nonsense\r\n\r\n\0\x01')
  expect(unframe(await readAll(socket))).toEqual({ stdout: 'GET nonsense\r\n\r\n\0\x01', stderr: 'end\n' })
  await remove(id)
})

test('an exec without Upgrade takes its stdin after the JSON, raw or in chunks', async () => {
  const id = await create('sleep 600')
  await start(id)
  const made = async () => {
    const spec = { Cmd: ['cat'], AttachStdin: true, AttachStdout: true }
    return (await api.call('POST', `/containers/${id}/exec`, spec)).body.Id as string
  }
  const body = '{"Detach":false,"Tty":false}'
  const raw = await askRaw(
    `POST /exec/${await made()}/start HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  raw.socket.end('raw input')
  expect(unframe(await readAll(raw.socket)).stdout).toBe('raw input')

  const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`
  const chunked = await askRaw(
    `POST /exec/${await made()}/start HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${chunk(body)}`,
  )
  chunked.socket.write(`${chunk('in ')}${chunk('chunks')}0\r\n\r\n`)
  expect(unframe(await readAll(chunked.socket)).stdout).toBe('in chunks')
  await remove(id)
})

test('the detach keys let go of a terminal, which lives on, and are told as an event', async () => {
  const id = await create('while read x; do echo "<$x>"; done', { Tty: true, OpenStdin: true })
  await start(id)
  const since = Date.now() / 1000
  const path = `/containers/${id}/attach?stream=1&stdin=1&stdout=1`
  const byDefault = await api.hijack(path)
  byDefault.socket.write('one\n')
  let seen = ''
  byDefault.socket.on('data', (chunk: Buffer) => {
    seen += chunk.toString()
  })
  await eventually(() => expect(seen).toContain('<one>'))
  const closed = new Promise((resolve) => byDefault.socket.once('end', resolve))
  byDefault.socket.write('\x10\x11')
  await closed
  byDefault.socket.destroy()

  const own = await api.hijack(`${path}&detachKeys=ctrl-a,x`)
  own.socket.write('two\n\x01x')
  expect((await readAll(own.socket)).toString()).not.toContain('\x01')
  expect((await api.call('GET', `/containers/${id}/json`)).body).toMatchObject({ State: { Running: true } })
  await eventually(async () => {
    expect((await api.call('GET', `/containers/${id}/logs?stdout=1`)).text).toContain('<two>')
  })
  expect(await api.call('POST', `${path}&detachKeys=nonsense`)).toMatchObject({
    status: 400,
    body: { message: 'Invalid escape keys (nonsense) provided' },
  })
  const filters = encodeURIComponent(JSON.stringify({ container: [id], event: ['attach', 'detach'] }))
  const events = await api.call(
    'GET',
    `/events?since=${since.toFixed(3)}&until=${(Date.now() / 1000 + 1).toFixed(3)}&filters=${filters}`,
  )
  expect(jsonLines(events.text).map(({ Action }) => Action)).toEqual(['attach', 'detach', 'attach', 'detach'])
  await remove(id)
})

test('the execs that run in a container are told by it', async () => {
  const id = await create('sleep 600')
  await start(id)
  const inspect = async () => (await api.call('GET', `/containers/${id}/json`)).body.ExecIDs
  expect(await inspect()).toBe(null)
  const spec = { Cmd: ['cat'], AttachStdin: true, Tty: true, DetachKeys: 'ctrl-a' }
  const exec = (await api.call('POST', `/containers/${id}/exec`, spec)).body.Id as string
  const { socket } = await api.hijack(`/exec/${exec}/start`, {})
  expect(await inspect()).toEqual([exec])
  // Detached from by its own keys it goes on.
  socket.write('\x01')
  await readAll(socket)
  expect((await api.call('GET', `/exec/${exec}/json`)).body).toMatchObject({ Running: true, DetachKeys: 'ctrl-a' })
  await api.call('POST', `/containers/${id}/kill`)
  await eventually(async () => {
    expect((await api.call('GET', `/exec/${exec}/json`)).body).toMatchObject({ Running: false, ExitCode: 137 })
  })
  expect(await inspect()).toBe(null)
  await remove(id)
})

test('what is not supported says so, and BuildKit is not there as with an old daemon', async () => {
  expect(await api.call('GET', '/containers/any/attach/ws')).toMatchObject({
    status: 501,
    body: { message: expect.stringContaining('attaching by WebSocket is not supported') },
  })
  for (const path of ['/session', '/grpc']) {
    expect(await api.call('POST', path)).toMatchObject({
      status: 404,
      body: { message: 'BuildKit sessions are not supported (set DOCKER_BUILDKIT=0)' },
    })
    await expect(api.hijack(path)).rejects.toThrow('not upgraded: 404')
  }
  expect((await api.call('GET', '/images/search?term=x')).status).toBe(501)
})
