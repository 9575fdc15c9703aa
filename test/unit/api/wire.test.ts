import { describe, expect, test } from 'vitest'
import { readFilters } from '../../../src/api/exchange.ts'
import { createRouter, splitVersion } from '../../../src/api/router.ts'
import { wireEvent } from '../../../src/api/routes/events.ts'
import { statusText } from '../../../src/api/wire/container.ts'
import { readBind } from '../../../src/api/wire/create-mounts.ts'
import { readCreate } from '../../../src/api/wire/create-request.ts'
import { wirePortMap } from '../../../src/api/wire/endpoint.ts'
import { frame, STDERR } from '../../../src/api/wire/frames.ts'
import type { Container } from '../../../src/engine/containers/types.ts'

describe('paths', () => {
  const handler = async (): Promise<void> => {}
  const router = createRouter({
    'GET /images/json': handler,
    'GET /images/{name*}/json': handler,
    'GET /containers/{id}/json': handler,
    'DELETE /images/{name*}': handler,
  })
  test('names take slashes only where they may', () => {
    expect(router.match('GET', '/images/reg:5000/a/b:c/json')?.params).toEqual({ name: 'reg:5000/a/b:c' })
    expect(router.match('GET', '/images/json')?.params).toEqual({})
    expect(router.match('GET', '/containers/a/b/json')).toBeUndefined()
    expect(router.match('HEAD', '/containers/a/json')?.params).toEqual({ id: 'a' })
    expect(router.match('POST', '/containers/a/json')).toBeUndefined()
  })
  test('a version is cut off, none means the newest', () => {
    expect(splitVersion('/v1.24/info')).toEqual({ version: 24, path: '/info' })
    expect(splitVersion('/info')).toEqual({ version: 51, path: '/info' })
    expect(splitVersion('/v2.0/info')).toContain('too new')
  })
})

describe('create requests', () => {
  const create = (body: Record<string, unknown>) => readCreate({ Image: 'i', ...body }, 'n', undefined)

  test('the default network is bridge; others come in the order the client means', () => {
    const networks = (body: Record<string, unknown>) => {
      const { network } = create(body)
      return network.kind === 'networks' ? network.endpoints.map((one) => one.network) : network
    }
    expect(networks({})).toEqual(['bridge'])
    expect(networks({ HostConfig: { NetworkMode: 'default' } })).toEqual(['bridge'])
    expect(networks({ HostConfig: { NetworkMode: 'host' } })).toEqual({ kind: 'host' })
    expect(networks({ HostConfig: { NetworkMode: 'container:x' } })).toEqual({ kind: 'container', container: 'x' })
    expect(
      networks({ HostConfig: { NetworkMode: 'b' }, NetworkingConfig: { EndpointsConfig: { a: null, b: {} } } }),
    ).toEqual(['b', 'a'])
  })

  test('ports, ranges, free ones and all exposed ones', () => {
    expect(
      create({
        ExposedPorts: { '80/tcp': {}, '53/udp': {} },
        HostConfig: {
          PublishAllPorts: true,
          PortBindings: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '8080' }, { HostPort: '9000-9009' }] },
        },
      }).ports,
    ).toEqual([
      { containerPort: 80, protocol: 'tcp', hostIp: '127.0.0.1', hostPort: 8080 },
      { containerPort: 80, protocol: 'tcp', hostIp: '', hostPort: 9000, hostPortEnd: 9009 },
      { containerPort: 53, protocol: 'udp', hostIp: '', hostPort: 0 },
    ])
    expect(() => create({ HostConfig: { PortBindings: { '70000/tcp': [{}] } } })).toThrow('invalid port')
  })

  test('mounts of every form', () => {
    expect(readBind('/a:/b:ro,rslave')).toEqual({
      kind: 'bind',
      source: '/a',
      target: '/b',
      readOnly: true,
      createHostPath: true,
      propagation: 'rslave',
    })
    expect(readBind('data:/b:nocopy')).toEqual({
      kind: 'volume',
      source: 'data',
      target: '/b',
      readOnly: false,
      nocopy: true,
    })
    for (const bad of ['/a', '/a:b', '/a:/b:wild', 'a:/b:ro:x']) expect(() => readBind(bad)).toThrow('invalid')
    expect(
      create({
        Volumes: { '/v': {}, '/b': {} },
        HostConfig: { Binds: ['/a:/b'], Tmpfs: { '/t': 'size=1m' }, Mounts: [{ Type: 'tmpfs', Target: '/m' }] },
      }).mounts?.map(({ kind, target }) => `${kind} ${target}`),
    ).toEqual(['bind /b', 'tmpfs /m', 'tmpfs /t', 'volume /v'])
  })

  test('wrong types and what is not done are refused by name', () => {
    expect(() => create({ Env: 'A=b' })).toThrow('Env must be a list of strings')
    expect(() => create({ HostConfig: { Memory: '1g' } })).toThrow('Memory must be a whole number')
    expect(() => create({ HostConfig: { VolumesFrom: ['x'] } })).toThrow('VolumesFrom is not supported')
    expect(() => create({ HostConfig: { RestartPolicy: { Name: 'sometimes' } } })).toThrow("unknown policy 'sometimes'")
  })

  test('zero limits are none', () => {
    const { resources } = create({ HostConfig: { Memory: 0, NanoCpus: 5e8, MemorySwappiness: -1, PidsLimit: null } })
    expect(resources).toEqual({ nanoCpus: 5e8 })
  })
})

describe('answers', () => {
  test('a port on all addresses is two bindings; an exposed one has none', () => {
    const ports = [{ containerPort: 80, protocol: 'tcp', hostIp: '', hostPort: 8080 } as const]
    expect(wirePortMap(['80/tcp', '443/tcp'], ports)).toEqual({
      '80/tcp': [
        { HostIp: '0.0.0.0', HostPort: '8080' },
        { HostIp: '::', HostPort: '8080' },
      ],
      '443/tcp': null,
    })
  })

  test('the status reads as in docker ps', () => {
    const at = (state: object): string =>
      statusText(
        { state: { health: undefined, exitCode: 1, ...state } } as unknown as Container,
        Date.parse('2026-01-01T00:03:00Z'),
      )
    const startedAt = '2026-01-01T00:00:00Z'
    expect(at({ status: 'running', startedAt })).toBe('Up 3 minutes')
    expect(at({ status: 'running', startedAt, health: { status: 'starting' } })).toBe('Up 3 minutes (health: starting)')
    expect(at({ status: 'paused', startedAt })).toBe('Up 3 minutes (Paused)')
    expect(at({ status: 'exited', finishedAt: startedAt })).toBe('Exited (1) 3 minutes ago')
  })

  test('nanoseconds keep all their digits, and old clients find their fields', () => {
    const line = wireEvent({
      sequence: 1,
      timeNs: '1767225600123456789',
      type: 'container',
      action: 'start',
      actorId: 'abc',
      attributes: { image: 'busybox', name: 'web' },
    })
    expect(line).toContain('"time":1767225600,"timeNano":1767225600123456789}')
    expect(JSON.parse(line)).toMatchObject({ status: 'start', id: 'abc', from: 'busybox', Type: 'container' })
  })

  test('a frame says stream and length', () => {
    expect([...frame(STDERR, Buffer.from('ab'))]).toEqual([2, 0, 0, 0, 0, 0, 0, 2, 97, 98])
  })

  test('filters come in two forms', () => {
    const read = (text: string) => readFilters(new URLSearchParams({ filters: text }), ['label'])
    expect(read('{"label":["a=b","c"]}').get('label')).toEqual(['a=b', 'c'])
    expect(read('{"label":{"a=b":true,"c":false}}').get('label')).toEqual(['a=b'])
    expect(() => read('{"nope":["x"]}')).toThrow("invalid filter 'nope'")
    expect(() => read('[')).toThrow('no JSON')
  })
})
