import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parseChallenges } from '../../../src/engine/registry/challenge.ts'
import { openDockerConfig } from '../../../src/engine/registry/docker-config.ts'
import { endpointsOf, registrySettings } from '../../../src/engine/registry/endpoints.ts'

let base: string
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'tcu-'))
})
afterEach(() => rmSync(base, { recursive: true, force: true }))

describe('challenges', () => {
  test('a bearer challenge gives realm, service and scope, quoted or not', () => {
    expect(
      parseChallenges('Bearer realm="https://auth.example/token",service=reg,scope="repository:a/b:pull,push"'),
    ).toEqual([
      {
        scheme: 'bearer',
        parameters: { realm: 'https://auth.example/token', service: 'reg', scope: 'repository:a/b:pull,push' },
      },
    ])
  })

  test('several challenges stand in one header', () => {
    const both = parseChallenges('Basic realm="a \\"b\\", c", Bearer realm="x"')
    expect(both.map((each) => [each.scheme, each.parameters.realm])).toEqual([
      ['basic', 'a "b", c'],
      ['bearer', 'x'],
    ])
  })

  test('what fits no grammar is passed over', () => {
    expect(parseChallenges('')).toEqual([])
    expect(parseChallenges('===,,"')).toEqual([])
  })
})

describe('endpoints', () => {
  const settings = (env: NodeJS.ProcessEnv = {}) =>
    registrySettings({ TCOMPOSE_REGISTRIES_CONFIG: join(base, 'none.json'), TCOMPOSE_CERTS_D: base, ...env })
  const urls = (domain: string, env: NodeJS.ProcessEnv = {}, insecure = false) =>
    endpointsOf(domain, settings(env), { insecure }).map(
      (endpoint) => `${endpoint.url}${endpoint.verify ? '' : ' (unchecked)'}`,
    )

  test('a registry is reached by https with a checked certificate, and by nothing else', () => {
    expect(urls('registry.example')).toEqual(['https://registry.example'])
    expect(urls('docker.io')).toEqual(['https://registry-1.docker.io'])
  })

  test.each(['localhost:5000', '127.0.0.1:5000', '127.3.4.5', '[::1]:5000'])('%s may be reached by http', (domain) => {
    expect(urls(domain)).toEqual([`https://${domain} (unchecked)`, `http://${domain} (unchecked)`])
  })

  test('insecure registries are named by host, by host and port, or by network', () => {
    const env = { TCOMPOSE_INSECURE_REGISTRIES: 'a.example, b.example:1, 10.0.0.0/8' }
    for (const domain of ['a.example', 'a.example:5', 'b.example:1', '10.1.2.3:5000'])
      expect(urls(domain, env)).toHaveLength(2)
    for (const domain of ['b.example', '11.1.2.3', 'localhost.example']) expect(urls(domain, env)).toHaveLength(1)
    expect(urls('c.example', {}, true)).toHaveLength(2)
  })

  test('a host with certificates of its own is always checked', () => {
    mkdirSync(join(base, 'localhost:5000'))
    expect(urls('localhost:5000')).toEqual(['https://localhost:5000'])
  })

  test('mirrors are asked before Docker Hub and for nothing else', () => {
    writeFileSync(join(base, 'r.json'), JSON.stringify({ 'registry-mirrors': ['http://mirror.example/hub/'] }))
    const env = { TCOMPOSE_REGISTRIES_CONFIG: join(base, 'r.json') }
    expect(urls('docker.io', env)).toEqual([
      'https://mirror.example/hub (unchecked)',
      'http://mirror.example/hub (unchecked)',
      'https://registry-1.docker.io',
    ])
    expect(urls('ghcr.io', env)).toEqual(['https://ghcr.io'])
  })

  test('a file that is no JSON is an error and not ignored', () => {
    writeFileSync(join(base, 'r.json'), '{')
    expect(() => settings({ TCOMPOSE_REGISTRIES_CONFIG: join(base, 'r.json') })).toThrow(/cannot be read/)
  })
})

describe("Docker's client configuration", () => {
  const auth = Buffer.from('me:pass:word').toString('base64')
  const config = (content: object) => {
    writeFileSync(join(base, 'config.json'), JSON.stringify(content))
    return openDockerConfig({ DOCKER_CONFIG: base })
  }

  test('credentials are found by host, also under the URLs of old', async () => {
    const opened = config({
      auths: {
        'https://index.docker.io/v1/': { auth },
        'https://reg.example/v2/': { auth },
        'tok.example': { identitytoken: 't' },
      },
    })
    expect(await opened.credentials('docker.io')).toMatchObject({ username: 'me', password: 'pass:word' })
    expect(await opened.credentials('reg.example')).toMatchObject({ username: 'me' })
    expect(await opened.credentials('tok.example')).toMatchObject({ identityToken: 't' })
    expect(await opened.credentials('other.example')).toBeUndefined()
  })

  test('without a file there are no credentials', async () => {
    expect(await openDockerConfig({ DOCKER_CONFIG: join(base, 'none') }).credentials('docker.io')).toBeUndefined()
  })

  test('storing keeps what else is in the file, which only its owner can read', async () => {
    const opened = config({ currentContext: 'x', auths: { old: { auth } } })
    await opened.store('docker.io', { username: 'a', password: 'b' })
    expect(JSON.parse(readFileSync(opened.path, 'utf8'))).toEqual({
      currentContext: 'x',
      auths: { old: { auth }, 'https://index.docker.io/v1/': { auth: Buffer.from('a:b').toString('base64') } },
    })
    expect(statSync(opened.path).mode & 0o777).toBe(0o600)
    expect(await opened.erase('docker.io')).toBe(true)
    expect(await opened.erase('docker.io')).toBe(false)
  })

  test('a helper with an odd name is not run', async () => {
    await expect(config({ credsStore: '../evil' }).store('x', { username: 'a', password: 'b' })).rejects.toThrow(
      /invalid credential helper/,
    )
  })
})
