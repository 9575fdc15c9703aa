import { fork } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silent } from '../../../src/base/progress.ts'
import { login, logout } from '../../../src/engine/registry/login.ts'
import { eventually } from '../../support/eventually.ts'
import { makeTar } from '../../unit/store/tar-builder.ts'
import { baseLayer, dockerArchive, makeImage } from './archives.ts'
import { CA, noise, startFaultProxy, startRegistry, startTokenServer, type TestRegistry } from './registry-server.ts'
import { openStore, streamOf, type TestStore } from './store.ts'

const emit = silent
const image = makeImage([
  baseLayer(),
  makeTar([{ name: 'noise', data: noise('one', 300_000) }]),
  makeTar([{ name: 'etc/extra', data: 'needs what is below' }]),
])
/** Large enough that its download is kept in a file. */
const large = makeImage([makeTar([{ name: 'noise', data: noise('large', 6_000_000) }])])

let registry: TestRegistry
let scratch: string
beforeAll(async () => {
  registry = await startRegistry()
  scratch = mkdtempSync(join(tmpdir(), 'tcreg-'))
  await using store = openStore()
  await seed(store, image, `${registry.host}/team/app:1`)
  await seed(store, large, `${registry.host}/team/large:1`)
})
afterAll(async () => {
  await registry[Symbol.asyncDispose]()
  rmSync(scratch, { recursive: true, force: true })
})

async function seed(store: TestStore, what: typeof image, ref: string): Promise<string> {
  await store.images.load(streamOf(dockerArchive(what, [ref]), 100_000), silent)
  return await store.images.push(ref, { emit })
}

function dockerConfig(content: object): NodeJS.ProcessEnv {
  const directory = mkdtempSync(join(scratch, 'config-'))
  writeFileSync(join(directory, 'config.json'), JSON.stringify(content))
  return { DOCKER_CONFIG: directory }
}

const basicAuth = Buffer.from('tester:secret').toString('base64')

describe('a plain registry', () => {
  test('what was pushed is pulled as the same image, by tag and by digest', async () => {
    await using store = openStore()
    const ref = `${registry.host}/team/app:1`
    const pulled = await store.images.pull(ref, { emit })
    expect(pulled.id).toBe(image.id)
    expect(pulled.tags).toEqual([ref])
    const byDigest = pulled.repoDigests[0] as string
    const { lowers } = await store.images.root(ref)
    expect(readFileSync(join(lowers[1] as string, 'noise')).equals(noise('one', 300_000))).toBe(true)
    await store.images.remove(ref)
    expect(await store.images.list()).toEqual([])
    const again = await store.images.pull(byDigest, { emit })
    expect([again.id, again.tags, again.repoDigests]).toEqual([image.id, [], [byDigest]])
    expect((await store.images.get(byDigest)).id).toBe(image.id)
  })

  test('an image that is there is not fetched again, and layers that are there are not either', async () => {
    await using proxy = await startFaultProxy(registry.host)
    await using store = openStore()
    await store.images.pull(`${proxy.host}/team/app:1`, { emit })
    const blobs = () => proxy.exchanges.filter((each) => each.method === 'GET' && each.url.includes('/blobs/')).length
    const before = blobs()
    await store.images.pull(`${proxy.host}/team/app:1`, { emit })
    expect(blobs()).toBe(before)
  })

  test('pushing an image that the registry has sends no blob', async () => {
    await using proxy = await startFaultProxy(registry.host)
    await using store = openStore()
    await store.images.pull(`${proxy.host}/team/app:1`, { emit })
    proxy.exchanges.length = 0
    const pushed = await store.images.push(`${proxy.host}/team/app:1`, { emit })
    expect(proxy.exchanges.filter((each) => each.method === 'PATCH' || each.method === 'POST')).toEqual([])
    expect((await store.images.get(`${proxy.host}/team/app:1`)).repoDigests.join()).toContain(pushed)
  })

  test('pushing to another repository of the registry mounts the blobs there', async () => {
    await using proxy = await startFaultProxy(registry.host)
    await using store = openStore()
    await store.images.pull(`${proxy.host}/team/app:1`, { emit })
    await store.images.tag(`${proxy.host}/team/app:1`, `${proxy.host}/copy/of-app:2`)
    await store.images.push(`${proxy.host}/copy/of-app:2`, { emit })
    const uploads = proxy.exchanges.filter((each) => each.method === 'PATCH')
    // Only the config, which is no layer.
    expect(uploads.length).toBeLessThanOrEqual(1)
    expect(proxy.exchanges.filter((each) => each.url.includes('mount=')).length).toBe(image.layers.length)
    await using other = openStore()
    expect((await other.images.pull(`${registry.host}/copy/of-app:2`, { emit })).id).toBe(image.id)
  })

  test('twenty pulls of one image at once fetch each layer once', async () => {
    await using proxy = await startFaultProxy(registry.host)
    await using store = openStore()
    const ref = `${proxy.host}/team/app:1`
    const pulled = await Promise.all(Array.from({ length: 20 }, () => store.images.pull(ref, { emit })))
    expect(new Set(pulled.map((each) => each.id))).toEqual(new Set([image.id]))
    const counts = new Map<string, number>()
    for (const { method, url } of proxy.exchanges) {
      if (method === 'GET' && url.includes('/blobs/')) counts.set(url, (counts.get(url) ?? 0) + 1)
    }
    const layers = [...counts].filter(([url]) => !url.includes(image.id))
    // The layer that needs those below it is unpacked outside the lock and may be fetched again.
    expect(layers.filter(([, count]) => count === 1).length).toBeGreaterThanOrEqual(2)
    expect(store.layerNames().length).toBe(3)
    expect(store.temporaryNames()).toEqual([])
  })

  test('a registry without TLS whose port drops what it does not understand is reached by http at once', async () => {
    const { createServer, connect } = await import('node:net')
    const [hostname, port] = registry.host.split(':') as [string, string]
    let dropped = 0
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', (first) => {
        // 0x16 begins a TLS handshake.
        if (first[0] === 0x16) {
          dropped++
          socket.resetAndDestroy()
          return
        }
        const upstream = connect(Number(port), hostname)
        upstream.on('error', () => socket.destroy())
        upstream.write(first)
        socket.pipe(upstream).pipe(socket)
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      await using store = openStore()
      const address = server.address() as { port: number }
      expect((await store.images.pull(`127.0.0.1:${address.port}/team/app:1`, { emit })).id).toBe(image.id)
      expect(dropped).toBe(1)
    } finally {
      await new Promise((resolve) => server.close(resolve))
    }
  })

  test('what is not there is said in the words of Docker', async () => {
    await using store = openStore()
    await expect(store.images.pull(`${registry.host}/team/app:none`, { emit })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining(`manifest for ${registry.host}/team/app:none not found: manifest unknown`),
    })
    await expect(store.images.push('never/seen:1', { emit })).rejects.toThrow(/does not exist locally with the tag/)
    await expect(store.images.pull('127.0.0.1:1/x', { emit })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })
})

describe('a network that fails', () => {
  const layerGet = (exchange: { method: string; url: string }) =>
    exchange.method === 'GET' && exchange.url.includes('/blobs/') && !exchange.url.includes(large.id)

  test('a cut download goes on where it stopped', async () => {
    let cuts = 0
    await using proxy = await startFaultProxy(registry.host, {
      chunk: (chunk, exchange, sent) => (layerGet(exchange) && sent > 500_000 && cuts++ < 3 ? null : chunk),
    })
    await using store = openStore()
    expect((await store.images.pull(`${proxy.host}/team/large:1`, { emit })).id).toBe(large.id)
    const ranges = proxy.exchanges.filter(layerGet).map((each) => each.headers.range)
    expect(ranges.filter((range) => /^bytes=[1-9]\d*-$/.test(range ?? '')).length).toBeGreaterThanOrEqual(3)
  })

  test('a damaged blob is refused and no part of the image is seen', async () => {
    await using proxy = await startFaultProxy(registry.host, {
      chunk(chunk, exchange) {
        if (!layerGet(exchange)) return chunk
        const damaged = Buffer.from(chunk)
        damaged[damaged.length - 1] = (damaged.at(-1) as number) ^ 1
        return damaged
      },
    })
    await using store = openStore()
    await expect(store.images.pull(`${proxy.host}/team/large:1`, { emit })).rejects.toMatchObject({
      code: expect.stringMatching(/CORRUPT|INVALID/),
    })
    expect([await store.images.list(), store.layerNames(), store.temporaryNames()]).toEqual([[], [], []])
    // The damaged bytes are not what the next pull begins with.
    expect((await store.images.pull(`${registry.host}/team/large:1`, { emit })).id).toBe(large.id)
  })

  test('a manifest with other content than its digest is refused', async () => {
    await using store = openStore()
    const { repoDigests } = await store.images.pull(`${registry.host}/team/app:1`, { emit })
    const digest = (repoDigests[0] as string).split('@')[1] as string
    await using proxy = await startFaultProxy(registry.host, {
      answer(request, response) {
        if (!request.url?.includes('/manifests/')) return false
        response.end('{"schemaVersion":2}')
        return true
      },
    })
    await using other = openStore()
    await expect(other.images.pull(`${proxy.host}/team/app@${digest}`, { emit })).rejects.toMatchObject({
      code: 'CORRUPT',
    })
  })

  test('busy and broken registries are asked again, and not for ever', async () => {
    let refusals = 0
    await using proxy = await startFaultProxy(registry.host, {
      answer(_, response) {
        if (refusals++ >= 3) return false
        response.writeHead(refusals === 1 ? 503 : 429, { 'retry-after': '0' }).end('{}')
        return true
      },
    })
    await using store = openStore()
    expect((await store.images.pull(`${proxy.host}/team/app:1`, { emit })).id).toBe(image.id)
    await using limited = await startFaultProxy(registry.host, {
      answer(_, response) {
        response
          .writeHead(429, { 'retry-after': '3600' })
          .end('{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}')
        return true
      },
    })
    await expect(store.images.pull(`${limited.host}/team/large:1`, { emit })).rejects.toThrow(
      /^toomanyrequests:.*slow down/,
    )
  })

  test('credentials do not follow a redirect to another host', async () => {
    await using guarded = await startRegistry({ htpasswd: true })
    const env = dockerConfig({ auths: { [guarded.host]: { auth: basicAuth } } })
    await using store = openStore(env)
    await seed(store, image, `${guarded.host}/team/app:1`)
    await using elsewhere = await startFaultProxy(registry.host)
    await using proxy = await startFaultProxy(guarded.host, {
      answer(request, response) {
        if (!request.url?.includes('/blobs/') || request.method !== 'GET') return false
        response.writeHead(307, { location: `http://${elsewhere.host}${request.url}` }).end()
        return true
      },
    })
    const proxied = dockerConfig({ auths: { [proxy.host]: { auth: basicAuth } } })
    await using other = openStore(proxied)
    expect((await other.images.pull(`${proxy.host}/team/app:1`, { emit })).id).toBe(image.id)
    expect(elsewhere.exchanges.length).toBeGreaterThan(0)
    expect(elsewhere.exchanges.filter((each) => each.headers.authorization !== undefined)).toEqual([])
    expect(proxy.exchanges.some((each) => each.headers.authorization === `Basic ${basicAuth}`)).toBe(true)
  })

  test('an interrupted pull leaves nothing but its download', async () => {
    await using proxy = await startFaultProxy(registry.host, {
      chunk: (chunk, exchange) => {
        if (layerGet(exchange)) abort.abort()
        return chunk
      },
    })
    const abort = new AbortController()
    await using store = openStore()
    await expect(store.images.pull(`${proxy.host}/team/large:1`, { emit, signal: abort.signal })).rejects.toMatchObject(
      { code: 'CANCELED' },
    )
    expect([await store.images.list(), store.layerNames(), store.temporaryNames()]).toEqual([[], [], []])
  })

  test('a pull that is killed is completed by the next one from where it was', async () => {
    let kill = () => {}
    let sentBytes = 0
    await using proxy = await startFaultProxy(registry.host, {
      chunk(chunk, exchange) {
        if (layerGet(exchange)) sentBytes += chunk.length
        if (sentBytes > 3_000_000) kill()
        return chunk
      },
    })
    await using store = openStore()
    const ref = `${proxy.host}/team/large:1`
    const child = fork(join(import.meta.dirname, 'pull-process.ts'), [store.base, ref], {
      stdio: 'ignore',
      execArgv: [],
    })
    kill = () => {
      if (existsSync(store.paths.blobs) && readdirSync(store.paths.blobs).length > 0) child.kill('SIGKILL')
    }
    await new Promise((resolve) => child.once('exit', resolve))
    kill = () => {}
    await store.images.reconcile()
    expect([await store.images.list(), store.layerNames(), store.temporaryNames()]).toEqual([[], [], []])
    expect((await store.images.pull(ref, { emit })).id).toBe(large.id)
    expect(readdirSync(store.paths.blobs)).toEqual([])
  })
})

describe('registries that want to know who asks', () => {
  test('a user name and password are asked for, sent, and refused in words when they are wrong', async () => {
    await using guarded = await startRegistry({ htpasswd: true })
    const ref = `${guarded.host}/team/app:1`
    await using store = openStore(dockerConfig({ auths: { [guarded.host]: { auth: basicAuth } } }))
    await seed(store, image, ref)
    expect((await store.images.pull(ref, { emit })).id).toBe(image.id)
    for (const content of [
      {},
      { auths: { [guarded.host]: { auth: Buffer.from('tester:wrong').toString('base64') } } },
    ]) {
      await using stranger = openStore(dockerConfig(content))
      await expect(stranger.images.pull(ref, { emit })).rejects.toMatchObject({
        code: 'DENIED',
        message: expect.stringContaining(
          `pull access denied for ${guarded.host}/team/app, repository does not exist or may require 'docker login'`,
        ),
      })
    }
  })

  test('a token server is asked with the right scopes', async () => {
    await using tokens = await startTokenServer()
    await using guarded = await startRegistry({ tokenRealm: tokens.realm })
    const ref = `${guarded.host}/team/app:1`
    await using store = openStore(dockerConfig({ auths: { [guarded.host]: { auth: basicAuth } } }))
    await seed(store, image, ref)
    expect(tokens.scopes).toContain('repository:team/app:pull,push')
    await using stranger = openStore()
    expect((await stranger.images.pull(ref, { emit })).id).toBe(image.id)
    await expect(stranger.images.push(ref, { emit })).rejects.toMatchObject({ code: 'DENIED' })
    await store.images.tag(ref, `${guarded.host}/other/app:1`)
    await store.images.push(`${guarded.host}/other/app:1`, { emit })
    expect(tokens.scopes).toContain('repository:team/app:pull')
  })

  test('a private certificate authority is trusted when it is in certs.d, and named when it is not', async () => {
    await using secure = await startRegistry({ tls: true })
    const certificates = mkdtempSync(join(scratch, 'certs-'))
    mkdirSync(join(certificates, secure.host))
    copyFileSync(CA, join(certificates, secure.host, 'ca.crt'))
    await using store = openStore({ TCOMPOSE_CERTS_D: certificates })
    await seed(store, image, `${secure.host}/team/app:1`)
    await using other = openStore({ TCOMPOSE_CERTS_D: certificates })
    expect((await other.images.pull(`${secure.host}/team/app:1`, { emit })).id).toBe(image.id)
    const untrusting = mkdtempSync(join(scratch, 'certs-'))
    mkdirSync(join(untrusting, secure.host))
    await using suspicious = openStore({ TCOMPOSE_CERTS_D: untrusting })
    await expect(suspicious.images.pull(`${secure.host}/team/app:1`, { emit })).rejects.toThrow(
      /certificate.*is not trusted/,
    )
  })

  test('login keeps what was accepted, and logout forgets it', async () => {
    await using guarded = await startRegistry({ htpasswd: true })
    const env = dockerConfig({ HttpHeaders: { kept: 'yes' } })
    const path = join(env.DOCKER_CONFIG as string, 'config.json')
    await expect(login({ env, server: guarded.host, username: 'tester', password: 'no' })).rejects.toMatchObject({
      code: 'DENIED',
    })
    await login({ env, server: guarded.host, username: 'tester', password: 'secret' })
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
      HttpHeaders: { kept: 'yes' },
      auths: { [guarded.host]: { auth: basicAuth } },
    })
    expect(await logout({ env, server: guarded.host })).toEqual({ domain: guarded.host, erased: true })
    expect(JSON.parse(readFileSync(path, 'utf8')).auths).toEqual({})
  })

  test('a credential helper is asked before the file', async () => {
    await using guarded = await startRegistry({ htpasswd: true })
    const programs = mkdtempSync(join(scratch, 'bin-'))
    const helper = join(programs, 'docker-credential-test')
    writeFileSync(helper, `#!/bin/sh\ncat >/dev/null\necho '{"Username":"tester","Secret":"secret"}'\n`, {
      mode: 0o755,
    })
    const env = {
      ...dockerConfig({ credHelpers: { [guarded.host]: 'test' } }),
      PATH: `${programs}:${process.env.PATH}`,
    }
    await using store = openStore(env)
    await seed(store, image, `${guarded.host}/team/app:1`)
    await eventually(async () => (await store.images.get(`${guarded.host}/team/app:1`)).repoDigests.length > 0)
  })
})
