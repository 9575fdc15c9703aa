import { describe, expect, test } from 'vitest'
import { LABEL } from '../../../src/project/labels.ts'
import {
  containerOf,
  endpoint,
  idOf,
  network,
  observed,
  planOf,
  planText,
  project,
  volume,
  volumeMount,
} from './builders.ts'

const OLD = { [LABEL.configHash]: 'old' }

describe('reasons to recreate', () => {
  const app = project({ services: { web: {} } })
  test('the config hash changed', () => {
    expect(planText(app, observed(app, [containerOf(app, 'web', { labels: OLD })]))).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, createContainer, config hash changed
      [1] -> #2 service:web:1, stopContainer, config hash changed
      [2] -> #3 service:web:1, removeContainer, config hash changed
      [3] -> #4 service:web:1, renameContainer, config hash changed"
    `)
  })
  test('the image changed', () => {
    const state = observed(app, [containerOf(app, 'web')], { imageId: `sha256:${'2'.repeat(64)}` })
    expect(planText(app, state)).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, createContainer, image changed
      [1] -> #2 service:web:1, stopContainer, image changed
      [2] -> #3 service:web:1, removeContainer, image changed
      [3] -> #4 service:web:1, renameContainer, image changed"
    `)
  })
  test('an image mounted as a volume changed', () => {
    const of = project({ services: { web: { volumes: [{ type: 'image', source: 'assets', target: '/assets' }] } } })
    const state = observed(of, [containerOf(of, 'web')], { imageVolumes: new Map([['assets', 'sha256:new']]) })
    expect(planText(of, state)).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, createContainer, image volume changed
      [1] -> #2 service:web:1, stopContainer, image volume changed
      [2] -> #3 service:web:1, removeContainer, image volume changed
      [3] -> #4 service:web:1, renameContainer, image volume changed"
    `)
  })
  test('a running container is not on an expected network', () => {
    const state = observed(app, [containerOf(app, 'web', { endpoints: [endpoint('elsewhere')] })])
    expect(planText(app, state)).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, createContainer, not attached to network app_default
      [1] -> #2 service:web:1, stopContainer, not attached to network app_default
      [2] -> #3 service:web:1, removeContainer, not attached to network app_default
      [3] -> #4 service:web:1, renameContainer, not attached to network app_default"
    `)
  })
  test('a stopped container has no endpoints, which is no reason', () => {
    const state = observed(app, [containerOf(app, 'web', { status: 'exited', endpoints: [] })])
    expect(planText(app, state)).toMatchInlineSnapshot(`""`)
  })
  test('an expected named volume is not mounted', () => {
    const of = project({
      services: { web: { volumes: [{ type: 'volume', source: 'data', target: '/data' }] } },
      volumes: { data: { name: 'app_data2' } },
    })
    const state = observed(of, [containerOf(of, 'web', { mounts: [volumeMount('app_data', '/data')] })])
    expect(planText(of, state)).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, createContainer, volume app_data2 not mounted
      [1] -> #2 service:web:1, stopContainer, volume app_data2 not mounted
      [2] -> #3 service:web:1, removeContainer, volume app_data2 not mounted
      [3] -> #4 service:web:1, renameContainer, volume app_data2 not mounted"
    `)
  })
  test('it is forced', () => {
    expect(planText(app, observed(app, [containerOf(app, 'web')]), { recreate: 'force' })).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, createContainer, recreate forced
      [1] -> #2 service:web:1, stopContainer, recreate forced
      [2] -> #3 service:web:1, removeContainer, recreate forced
      [3] -> #4 service:web:1, renameContainer, recreate forced"
    `)
  })
  test('the container whose network it shares is recreated', () => {
    const of = project({ services: { app: {}, sidecar: { network_mode: 'service:app' } } })
    const sidecar = containerOf(of, 'sidecar', { spec: { network: { kind: 'container', container: idOf('app') } } })
    expect(planText(of, observed(of, [containerOf(of, 'app', { labels: OLD }), sidecar]))).toMatchInlineSnapshot(`
      "[] -> #1 service:app:1, createContainer, config hash changed
      [1] -> #2 service:app:1, stopContainer, config hash changed
      [2] -> #3 service:app:1, removeContainer, config hash changed
      [3] -> #4 service:app:1, renameContainer, config hash changed
      [4] -> #5 service:sidecar:1, createContainer, service app recreated
      [5] -> #6 service:sidecar:1, stopContainer, service app recreated
      [6] -> #7 service:sidecar:1, removeContainer, service app recreated
      [7] -> #8 service:sidecar:1, renameContainer, service app recreated"
    `)
  })
  test('the container whose network it shares was replaced behind our back', () => {
    const of = project({ services: { app: {}, sidecar: { network_mode: 'service:app' } } })
    const sidecar = containerOf(of, 'sidecar', { spec: { network: { kind: 'container', container: 'f'.repeat(64) } } })
    expect(planText(of, observed(of, [containerOf(of, 'app'), sidecar]))).toMatchInlineSnapshot(`
      "[] -> #1 service:sidecar:1, createContainer, service app recreated
      [1] -> #2 service:sidecar:1, stopContainer, service app recreated
      [2] -> #3 service:sidecar:1, removeContainer, service app recreated
      [3] -> #4 service:sidecar:1, renameContainer, service app recreated"
    `)
  })
  test('the container whose pid namespace it shares is recreated', () => {
    const of = project({ services: { app: {}, debug: { pid: 'service:app' } } })
    const debug = containerOf(of, 'debug', { spec: { namespaces: { pid: `container:${idOf('app')}` } } })
    expect(planText(of, observed(of, [containerOf(of, 'app', { labels: OLD }), debug]))).toMatchInlineSnapshot(`
      "[] -> #1 service:app:1, createContainer, config hash changed
      [1] -> #2 service:app:1, stopContainer, config hash changed
      [2] -> #3 service:app:1, removeContainer, config hash changed
      [3] -> #4 service:app:1, renameContainer, config hash changed
      [4] -> #5 service:debug:1, createContainer, service app recreated
      [5] -> #6 service:debug:1, stopContainer, service app recreated
      [6] -> #7 service:debug:1, removeContainer, service app recreated
      [7] -> #8 service:debug:1, renameContainer, service app recreated"
    `)
  })
  test('the container whose ipc namespace it shares stays: no reason', () => {
    const of = project({ services: { app: { ipc: 'shareable' }, peer: { ipc: 'service:app' } } })
    const peer = containerOf(of, 'peer', { spec: { namespaces: { ipc: `container:${idOf('app')}` } } })
    expect(planText(of, observed(of, [containerOf(of, 'app'), peer]))).toMatchInlineSnapshot(`""`)
  })
  test('the donor of volumes_from is recreated', () => {
    const of = project({ services: { app: { volumes_from: ['db'] }, db: {} } })
    const state = observed(of, [containerOf(of, 'app'), containerOf(of, 'db', { labels: OLD })])
    expect(planText(of, state)).toMatchInlineSnapshot(`
      "[] -> #1 service:db:1, createContainer, config hash changed
      [1] -> #2 service:db:1, stopContainer, config hash changed
      [2] -> #3 service:db:1, removeContainer, config hash changed
      [3] -> #4 service:db:1, renameContainer, config hash changed
      [4] -> #5 service:app:1, createContainer, service db recreated
      [5] -> #6 service:app:1, stopContainer, service db recreated
      [6] -> #7 service:app:1, removeContainer, service db recreated
      [7] -> #8 service:app:1, renameContainer, service db recreated"
    `)
  })
  test('the donor of volumes_from stays: no reason', () => {
    const of = project({ services: { app: { volumes_from: ['db'] }, db: {} } })
    expect(planText(of, observed(of, [containerOf(of, 'app'), containerOf(of, 'db')]))).toMatchInlineSnapshot(`""`)
  })
  test('the donor is missing and not asked for', () => {
    const of = project({ services: { app: { volumes_from: ['db'] } } })
    expect(() => planText(of, observed(of, [containerOf(of, 'app', { labels: OLD })]))).toThrow(
      'cannot share volume with service db: container missing',
    )
  })
})

describe('policies', () => {
  const app = project({
    services: { web: { depends_on: { db: { condition: 'service_started', required: true } } }, db: {} },
  })
  test('never leaves a changed container', () => {
    const state = observed(app, [containerOf(app, 'web', { labels: OLD }), containerOf(app, 'db')])
    expect(planText(app, state, { recreate: 'never', recreateDependencies: 'never' })).toMatchInlineSnapshot(`""`)
  })
  test('force leaves dependencies that are not named', () => {
    const state = observed(app, [containerOf(app, 'web'), containerOf(app, 'db')])
    expect(planText(app, state, { services: ['web'], recreate: 'force' })).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, createContainer, recreate forced
      [1] -> #2 service:web:1, stopContainer, recreate forced
      [2] -> #3 service:web:1, removeContainer, recreate forced
      [3] -> #4 service:web:1, renameContainer, recreate forced"
    `)
  })
  test('--always-recreate-deps takes the dependencies too', () => {
    const state = observed(app, [containerOf(app, 'web'), containerOf(app, 'db')])
    expect(
      planText(app, state, { services: ['web'], recreate: 'force', recreateDependencies: 'force' }),
    ).toMatchInlineSnapshot(`
      "[] -> #1 service:db:1, createContainer, recreate forced
      [1] -> #2 service:db:1, stopContainer, recreate forced
      [2] -> #3 service:db:1, removeContainer, recreate forced
      [3] -> #4 service:db:1, renameContainer, recreate forced
      [] -> #5 service:web:1, createContainer, recreate forced
      [5] -> #6 service:web:1, stopContainer, recreate forced
      [6] -> #7 service:web:1, removeContainer, recreate forced
      [7] -> #8 service:web:1, renameContainer, recreate forced"
    `)
  })
  test('a changed dependency is recreated even when another service is named', () => {
    const state = observed(app, [containerOf(app, 'web'), containerOf(app, 'db', { labels: OLD })])
    expect(planText(app, state, { services: ['web'] })).toMatchInlineSnapshot(`
      "[] -> #1 service:db:1, createContainer, config hash changed
      [1] -> #2 service:db:1, stopContainer, config hash changed
      [2] -> #3 service:db:1, removeContainer, config hash changed
      [3] -> #4 service:db:1, renameContainer, config hash changed"
    `)
  })
  test('only the replica that differs is recreated', () => {
    const of = project({ services: { web: { scale: 2 } } })
    const state = observed(of, [containerOf(of, 'web'), containerOf(of, 'web', { number: 2, labels: OLD })])
    expect(planText(of, state)).toMatchInlineSnapshot(`
      "[] -> #1 service:web:2, createContainer, config hash changed
      [1] -> #2 service:web:2, stopContainer, config hash changed
      [2] -> #3 service:web:2, removeContainer, config hash changed
      [3] -> #4 service:web:2, renameContainer, config hash changed"
    `)
  })
  test('a stopped container is replaced without stopping it', () => {
    const of = project({ services: { web: {} } })
    const state = observed(of, [containerOf(of, 'web', { status: 'exited', labels: OLD })])
    expect(planText(of, state)).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, createContainer, config hash changed
      [1] -> #2 service:web:1, removeContainer, config hash changed
      [2] -> #3 service:web:1, renameContainer, config hash changed"
    `)
  })
  test('pre_stop hooks run before the old one stops', () => {
    const of = project({ services: { web: { pre_stop: [{ command: ['drain'] }] } } })
    expect(planText(of, observed(of, [containerOf(of, 'web', { labels: OLD })]))).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, createContainer, config hash changed
      [1] -> #2 service:web:1, runHook, pre_stop
      [2] -> #3 service:web:1, stopContainer, config hash changed
      [3] -> #4 service:web:1, removeContainer, config hash changed
      [4] -> #5 service:web:1, renameContainer, config hash changed"
    `)
  })
})

describe('what a recreated container keeps', () => {
  const app = project({ services: { web: { volumes: [{ type: 'volume', target: '/cache' }] } } })
  const old = containerOf(app, 'web', {
    labels: OLD,
    mounts: [volumeMount('anon1', '/cache'), volumeMount('anon2', '/image-volume'), volumeMount('anon3', '/forgotten')],
  })
  const images = new Map([['web', { id: 'sha256:x', reference: 'base', volumes: ['/image-volume'] }]])
  const mountsOf = (options: Parameters<typeof planOf>[2]) => {
    const action = planOf(app, observed(app, [old], { images }), options).operations[0]?.action
    return action?.kind === 'createContainer' ? action.spec.mounts : undefined
  }
  test('anonymous volumes of the file and of the image are taken over', () => {
    expect(mountsOf({})).toEqual([
      { kind: 'volume', source: 'anon1', target: '/cache', readOnly: false, nocopy: false },
      { kind: 'volume', source: 'anon2', target: '/image-volume' },
    ])
  })
  test('with -V they are new', () => {
    expect(mountsOf({ inheritVolumes: false, recreate: 'force' })).toEqual([
      { kind: 'volume', target: '/cache', readOnly: false, nocopy: false },
    ])
  })
  test('it is made under the old id and its name, then renamed', () => {
    const { operations } = planOf(app, observed(app, [old]))
    const [create, , , rename] = operations.map((one) => one.action)
    expect(create?.kind === 'createContainer' && create.spec.name).toBe('web100000000_app-web-1')
    expect(rename).toEqual({
      kind: 'renameContainer',
      container: { id: 'new1'.padEnd(64, '0'), name: 'web100000000_app-web-1' },
      to: 'app-web-1',
    })
    expect(create?.kind === 'createContainer' && create.spec.labels?.[LABEL.replace]).toBe('app-web-1')
  })
  test('DNS aliases name the final container, not the temporary one', () => {
    const [create] = planOf(app, observed(app, [old])).operations.map((one) => one.action)
    const spec = create?.kind === 'createContainer' ? create.spec.network : undefined
    expect(spec?.kind === 'networks' && spec.endpoints[0]?.aliases).toEqual(['app-web-1', 'web'])
  })
})

describe('dependents with restart: true', () => {
  const app = project({
    services: {
      web: { depends_on: { db: { condition: 'service_started', required: true, restart: true } } },
      other: { depends_on: { db: { condition: 'service_started', required: true } } },
      db: {},
    },
  })
  test('they are stopped before the dependency is recreated and started after it', () => {
    const state = observed(app, [
      containerOf(app, 'web'),
      containerOf(app, 'other'),
      containerOf(app, 'db', { labels: OLD }),
    ])
    expect(planText(app, state, { start: true })).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, stopContainer, dependency db recreated
      [1] -> #2 service:db:1, createContainer, config hash changed
      [2] -> #3 service:db:1, stopContainer, config hash changed
      [3] -> #4 service:db:1, removeContainer, config hash changed
      [4] -> #5 service:db:1, renameContainer, config hash changed
      [5] -> #6 service:db:1, startContainer, created
      [1,6] -> #7 service:web:1, startContainer, stopped before"
    `)
  })
  test('nothing is restarted when the dependency stays', () => {
    const state = observed(app, [containerOf(app, 'web'), containerOf(app, 'other'), containerOf(app, 'db')])
    expect(planText(app, state, { start: true })).toMatchInlineSnapshot(`""`)
  })
})

describe('changed networks', () => {
  const app = project({ services: { web: {}, db: {} } })
  const changed = new Map([
    [
      'app_default',
      network(app, 'default', { [LABEL.project]: 'app', [LABEL.network]: 'default', [LABEL.configHash]: 'old' }),
    ],
  ])
  test('containers are taken off, the network is made anew, and they are put back and started', () => {
    const state = observed(app, [containerOf(app, 'web')], { networks: changed })
    const only = project({ services: { web: {} } })
    expect(planText(only, { ...state }, { start: true })).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, stopContainer, network default changed
      [1] -> #2 service:web:1, disconnectContainer, network default changed
      [2] -> #3 network:default, removeNetwork, config hash changed
      [3] -> #4 network:default, createNetwork, config hash changed
      [4] -> #5 service:web:1, connectContainer, network app_default renewed
      [5] -> #6 service:web:1, startContainer, stopped before"
    `)
  })
  test('a container that is recreated too is not put back', () => {
    const only = project({ services: { web: {} } })
    const state = observed(only, [containerOf(only, 'web', { labels: OLD })], { networks: changed })
    expect(planText(only, state, { start: true })).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, stopContainer, network default changed
      [1] -> #2 service:web:1, disconnectContainer, network default changed
      [2] -> #3 network:default, removeNetwork, config hash changed
      [3] -> #4 network:default, createNetwork, config hash changed
      [4] -> #5 service:web:1, createContainer, config hash changed
      [5] -> #6 service:web:1, stopContainer, config hash changed
      [6] -> #7 service:web:1, removeContainer, config hash changed
      [7] -> #8 service:web:1, renameContainer, config hash changed
      [8] -> #9 service:web:1, startContainer, created"
    `)
  })
  test('a container of a service that is not planned is put back and runs again', () => {
    const only = project({ services: { web: {} } })
    const state = observed(only, [containerOf(only, 'web'), containerOf(app, 'db')], { networks: changed })
    expect(planText(only, state, { start: true, orphans: 'ignore' })).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, stopContainer, network default changed
      [1] -> #2 service:web:1, disconnectContainer, network default changed
      [] -> #3 service:db:1, stopContainer, network default changed
      [3] -> #4 service:db:1, disconnectContainer, network default changed
      [2,4] -> #5 network:default, removeNetwork, config hash changed
      [5] -> #6 network:default, createNetwork, config hash changed
      [6] -> #7 service:web:1, connectContainer, network app_default renewed
      [7] -> #8 service:web:1, startContainer, stopped before
      [6] -> #9 service:db:1, connectContainer, network app_default renewed
      [9] -> #10 service:db:1, startContainer, was running"
    `)
  })
  test('a stopped container is put back and stays stopped without start', () => {
    const only = project({ services: { web: {} } })
    const state = observed(only, [containerOf(only, 'web', { status: 'exited' })], { networks: changed })
    expect(planText(only, state)).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, disconnectContainer, network default changed
      [1] -> #2 network:default, removeNetwork, config hash changed
      [2] -> #3 network:default, createNetwork, config hash changed
      [3] -> #4 service:web:1, connectContainer, network app_default renewed"
    `)
  })
})

describe('changed volumes', () => {
  const app = project({
    services: { db: { volumes: [{ type: 'volume', source: 'data', target: '/data' }] } },
    volumes: { data: { name: 'app_data' } },
  })
  const changed = new Map([['app_data', volume(app, 'data', { [LABEL.project]: 'app', [LABEL.configHash]: 'old' })]])
  test('without consent it is left and said', () => {
    const plan = planOf(app, observed(app, [containerOf(app, 'db')], { volumes: changed }))
    expect(plan.operations).toEqual([])
    expect(plan.warnings[0]).toContain('volume "app_data" exists but doesn\'t match configuration in compose file')
  })
  test('with consent its containers go, it is made anew, and they come back under their numbers', () => {
    const state = observed(app, [containerOf(app, 'db', { number: 2 })], { volumes: changed })
    expect(planText(app, state, { recreateVolumes: new Set(['app_data']) })).toMatchInlineSnapshot(`
      "[] -> #1 service:db:2, stopContainer, volume data changed
      [1] -> #2 service:db:2, removeContainer, volume data changed
      [2] -> #3 volume:data, removeVolume, config hash changed
      [3] -> #4 volume:data, createVolume, config hash changed
      [2,4] -> #5 service:db:2, createContainer, volume recreated"
    `)
  })
})
