import { describe, expect, test } from 'vitest'
import { LABEL } from '../../../src/project/labels.ts'
import { NOTHING } from '../../../src/project/observed.ts'
import { containerOf, network, observed, planOf, planText, project, volume } from './builders.ts'

describe('creating', () => {
  test('a missing network is created before the containers on it', () => {
    const app = project({ services: { web: {} } })
    expect(planText(app, NOTHING)).toMatchInlineSnapshot(`
      "[] -> #1 network:default, createNetwork, not found
      [1] -> #2 service:web:1, createContainer, no container"
    `)
  })
  test('a project that is as it should be needs nothing', () => {
    const app = project({ services: { web: {}, db: {} } })
    expect(
      planText(app, observed(app, [containerOf(app, 'web'), containerOf(app, 'db')]), { start: true }),
    ).toMatchInlineSnapshot(`""`)
  })
  test('a missing volume is created before the container that mounts it', () => {
    const app = project({
      services: { db: { volumes: [{ type: 'volume', source: 'data', target: '/data' }] } },
      volumes: { data: { name: 'app_data' } },
    })
    expect(planText(app, NOTHING)).toMatchInlineSnapshot(`
      "[] -> #1 network:default, createNetwork, not found
      [] -> #2 volume:data, createVolume, not found
      [1,2] -> #3 service:db:1, createContainer, no container"
    `)
  })
  test('containers wait for their own networks only', () => {
    const app = project({
      services: { web: { networks: { front: null } }, db: { networks: { back: null } } },
      networks: { front: { name: 'app_front' }, back: { name: 'app_back' } },
    })
    expect(planText(app, NOTHING)).toMatchInlineSnapshot(`
      "[] -> #1 network:back, createNetwork, not found
      [] -> #2 network:front, createNetwork, not found
      [1] -> #3 service:db:1, createContainer, no container
      [2] -> #4 service:web:1, createContainer, no container"
    `)
  })
  test('a service on two networks waits for both', () => {
    const app = project({
      services: { web: { networks: { front: null, back: null } } },
      networks: { front: { name: 'app_front' }, back: { name: 'app_back' } },
    })
    expect(planText(app, NOTHING)).toMatchInlineSnapshot(`
      "[] -> #1 network:back, createNetwork, not found
      [] -> #2 network:front, createNetwork, not found
      [1,2] -> #3 service:web:1, createContainer, no container"
    `)
  })
  test('network_mode host needs no network', () => {
    const app = project({ services: { web: { network_mode: 'host' } } })
    expect(planText(app, NOTHING)).toMatchInlineSnapshot(`"[] -> #1 service:web:1, createContainer, no container"`)
  })
  test('a container that shares a namespace is created after the one it shares it with', () => {
    const app = project({ services: { app: {}, sidecar: { network_mode: 'service:app' } } })
    expect(planText(app, NOTHING)).toMatchInlineSnapshot(`
      "[] -> #1 network:default, createNetwork, not found
      [1] -> #2 service:app:1, createContainer, no container
      [2] -> #3 service:sidecar:1, createContainer, no container"
    `)
  })
  test('volumes_from makes a container wait for the donor', () => {
    const app = project({ services: { app: { volumes_from: ['db:ro'] }, db: {} } })
    expect(planText(app, NOTHING)).toMatchInlineSnapshot(`
      "[] -> #1 network:default, createNetwork, not found
      [1] -> #2 service:db:1, createContainer, no container
      [1,2] -> #3 service:app:1, createContainer, no container"
    `)
  })
  test('an external network is not created', () => {
    const app = project({
      services: { web: { networks: { shared: null } } },
      networks: { shared: { name: 'shared', external: true } },
    })
    expect(planText(app, observed(app))).toMatchInlineSnapshot(
      `"[] -> #1 service:web:1, createContainer, no container"`,
    )
  })
  test('a missing external network is an error that names it', () => {
    const app = project({
      services: { web: { networks: { shared: null } } },
      networks: { shared: { name: 'shared', external: true } },
    })
    expect(() => planText(app, NOTHING)).toThrow('network shared declared as external, but could not be found')
  })
  test('a missing external volume is an error that names it', () => {
    const app = project({
      services: { db: { volumes: [{ type: 'volume', source: 'data', target: '/data' }] } },
      volumes: { data: { name: 'precious', external: true } },
    })
    expect(() => planText(app, observed(app, [], { volumes: new Map() }))).toThrow(
      'external volume "precious" not found',
    )
  })
  test('a network of the same name that is not ours is used with a warning', () => {
    const app = project({ services: { web: {} } })
    const state = observed(app, [], { networks: new Map([['app_default', network(app, 'default', {})]]) })
    expect(planText(app, state)).toMatchInlineSnapshot(`"[] -> #1 service:web:1, createContainer, no container"`)
    expect(planOf(app, state).warnings).toEqual([
      'a network with name app_default exists but was not created by compose.\nSet `external: true` to use an existing network',
    ])
  })
  test('a volume of another project is used with a warning', () => {
    const app = project({
      services: { db: { volumes: [{ type: 'volume', source: 'data', target: '/data' }] } },
      volumes: { data: { name: 'app_data' } },
    })
    const foreign = volume(app, 'data', { [LABEL.project]: 'other' })
    const state = observed(app, [], { volumes: new Map([['app_data', foreign]]) })
    expect(planText(app, state)).toMatchInlineSnapshot(`"[] -> #1 service:db:1, createContainer, no container"`)
    expect(planOf(app, state).warnings[0]).toContain('was created for project "other" (expected "app")')
  })
  test('a network without a hash label is left alone', () => {
    const app = project({ services: { web: {} } })
    const old = network(app, 'default', { [LABEL.project]: 'app', [LABEL.network]: 'default' })
    expect(planText(app, observed(app, [], { networks: new Map([['app_default', old]]) }))).toMatchInlineSnapshot(
      `"[] -> #1 service:web:1, createContainer, no container"`,
    )
  })
  test('a provider has no containers', () => {
    const app = project({ services: { cloud: { provider: { type: 'cloud' } }, web: {} } })
    expect(planText(app, observed(app))).toMatchInlineSnapshot(
      `"[] -> #1 service:web:1, createContainer, no container"`,
    )
  })
})

describe('scaling', () => {
  const three = project({ services: { web: { scale: 3 } } })
  test('a scaled service gets as many containers, numbered from 1', () => {
    expect(planText(three, observed(three))).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, createContainer, no container
      [] -> #2 service:web:2, createContainer, no container
      [] -> #3 service:web:3, createContainer, no container"
    `)
  })
  test('deploy.replicas counts as scale', () => {
    const app = project({ services: { web: { deploy: { replicas: 2 } } } })
    expect(planText(app, observed(app))).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, createContainer, no container
      [] -> #2 service:web:2, createContainer, no container"
    `)
  })
  test('scaling up keeps what is there and goes on after the highest number', () => {
    expect(planText(three, observed(three, [containerOf(three, 'web', { number: 4 })]))).toMatchInlineSnapshot(`
      "[] -> #1 service:web:5, createContainer, no container
      [] -> #2 service:web:6, createContainer, no container"
    `)
  })
  test('gaps in the numbers are not used again', () => {
    const state = observed(three, [containerOf(three, 'web', { number: 1 }), containerOf(three, 'web', { number: 3 })])
    expect(planText(three, state)).toMatchInlineSnapshot(`"[] -> #1 service:web:4, createContainer, no container"`)
  })
  test('scaling down removes the highest numbers', () => {
    const one = project({ services: { web: { scale: 1 } } })
    const state = observed(
      one,
      [1, 2, 3].map((number) => containerOf(one, 'web', { number })),
    )
    expect(planText(one, state)).toMatchInlineSnapshot(`
      "[] -> #1 service:web:2, stopContainer, scale down
      [1] -> #2 service:web:2, removeContainer, scale down
      [] -> #3 service:web:3, stopContainer, scale down
      [3] -> #4 service:web:3, removeContainer, scale down"
    `)
  })
  test('scaling down removes obsolete ones first', () => {
    const one = project({ services: { web: { scale: 1 } } })
    const state = observed(one, [
      containerOf(one, 'web', { number: 1, labels: { [LABEL.configHash]: 'old' } }),
      containerOf(one, 'web', { number: 2 }),
    ])
    expect(planText(one, state)).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, stopContainer, scale down
      [1] -> #2 service:web:1, removeContainer, scale down"
    `)
  })
  test('scale 0 removes all, and stops only what runs', () => {
    const none = project({ services: { web: { scale: 0 } } })
    const state = observed(none, [
      containerOf(none, 'web', { number: 1 }),
      containerOf(none, 'web', { number: 2, status: 'exited' }),
    ])
    expect(planText(none, state)).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, stopContainer, scale down
      [1] -> #2 service:web:1, removeContainer, scale down
      [] -> #3 service:web:2, removeContainer, scale down"
    `)
  })
  test('a service with container_name cannot be scaled', () => {
    const app = project({ services: { web: { container_name: 'web', scale: 2 } } })
    expect(() => planText(app, observed(app))).toThrow('custom container name "web"')
  })
  test('container_name is used as it is', () => {
    const app = project({ services: { web: { container_name: 'front' } } })
    const plan = planOf(app, observed(app))
    expect(plan.containers.map((one) => one.name)).toEqual(['front'])
  })
  test('--compatibility parts names with underscores', () => {
    const app = project({ services: { web: {} } })
    expect(planOf(app, observed(app), { separator: '_' }).containers[0]?.name).toBe('app_web_1')
  })
})

describe('orphans', () => {
  const app = project({ services: { web: {} }, disabled: { debug: { image: 'base' } } })
  const gone = containerOf(app, 'gone')
  test('an orphan is warned about and left', () => {
    const plan = planOf(app, observed(app, [containerOf(app, 'web'), gone]))
    expect(plan.operations).toEqual([])
    expect(plan.warnings[0]).toContain('Found orphan containers ([app-gone-1]) for this project.')
  })
  test('an orphan is removed when asked', () => {
    expect(planText(app, observed(app, [containerOf(app, 'web'), gone]), { orphans: 'remove' })).toMatchInlineSnapshot(`
      "[] -> #1 service:gone:1, stopContainer, orphan
      [1] -> #2 service:gone:1, removeContainer, orphan"
    `)
  })
  test('an orphan is not mentioned when ignored', () => {
    expect(planOf(app, observed(app, [containerOf(app, 'web'), gone]), { orphans: 'ignore' }).warnings).toEqual([])
  })
  test('a service that a profile disables is no orphan', () => {
    const plan = planOf(app, observed(app, [containerOf(app, 'web'), containerOf(app, 'debug')]), { orphans: 'remove' })
    expect(plan.operations).toEqual([])
  })
  test('an ended one-off is an orphan, a running one is not', () => {
    const ended = containerOf(app, 'web', { oneOff: true, status: 'exited', id: 'e'.repeat(64) })
    const running = containerOf(app, 'web', { oneOff: true, id: 'f'.repeat(64) })
    expect(
      planText(app, observed(app, [containerOf(app, 'web'), ended, running]), { orphans: 'remove' }),
    ).toMatchInlineSnapshot(`"[] -> #1 container:app-web-run-0123456789ab, removeContainer, orphan"`)
  })
})
