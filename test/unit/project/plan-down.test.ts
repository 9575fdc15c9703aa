import { describe, expect, test } from 'vitest'
import { formatPlan } from '../../../src/project/plan.ts'
import { planDown } from '../../../src/project/plan-down.ts'
import {
  planRemoveServices,
  planRestart,
  planSignal,
  planStartServices,
  planStopServices,
} from '../../../src/project/plan-lifecycle.ts'
import { containerOf, observed, project } from './builders.ts'

const started = { condition: 'service_started', required: true } as const
const app = project({
  services: { web: { depends_on: { api: started } }, api: { depends_on: { db: started } }, db: {} },
  volumes: { data: { name: 'app_data' }, ext: { name: 'ext', external: true } },
})
const all = observed(app, [containerOf(app, 'web'), containerOf(app, 'api'), containerOf(app, 'db')])

describe('down', () => {
  test('stops dependents first, removes, then the networks', () => {
    expect(formatPlan(planDown('app', app, all, {}))).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, stopContainer, down
      [1] -> #2 service:api:1, stopContainer, down
      [2] -> #3 service:db:1, stopContainer, down
      [1] -> #4 service:web:1, removeContainer, down
      [2] -> #5 service:api:1, removeContainer, down
      [3] -> #6 service:db:1, removeContainer, down
      [4,5,6] -> #7 network:default, removeNetwork, down"
    `)
  })
  test('without the file the order comes from labels', () => {
    expect(formatPlan(planDown('app', undefined, all, {}))).toBe(formatPlan(planDown('app', app, all, {})))
  })
  test('-v removes the volumes of the file, not external ones', () => {
    expect(formatPlan(planDown('app', app, observed(app), { volumes: true }))).toMatchInlineSnapshot(`
      "[] -> #1 network:default, removeNetwork, down
      [] -> #2 volume:data, removeVolume, down -v"
    `)
  })
  test('a named service goes alone', () => {
    expect(formatPlan(planDown('app', app, all, { services: ['api'] }))).toMatchInlineSnapshot(`
      "[] -> #1 service:api:1, stopContainer, down
      [1] -> #2 service:api:1, removeContainer, down
      [2] -> #3 network:default, removeNetwork, down"
    `)
  })
  test('one-offs and orphans stay unless asked for', () => {
    const oneOff = containerOf(app, 'web', { oneOff: true, id: 'f'.repeat(64) })
    const state = observed(app, [oneOff, containerOf(app, 'gone')])
    expect(formatPlan(planDown('app', app, state, {}))).toMatchInlineSnapshot(
      `"[] -> #1 network:default, removeNetwork, down"`,
    )
    expect(formatPlan(planDown('app', app, state, { removeOrphans: true }))).toMatchInlineSnapshot(`
      "[] -> #1 container:app-web-run-0123456789ab, stopContainer, down
      [] -> #2 service:gone:1, stopContainer, down
      [1] -> #3 container:app-web-run-0123456789ab, removeContainer, down
      [2] -> #4 service:gone:1, removeContainer, down
      [3,4] -> #5 network:default, removeNetwork, down"
    `)
  })
  test('--rmi removes images last', () => {
    const one = project({ services: { web: {} } })
    const state = observed(one, [containerOf(one, 'web', { status: 'exited' })])
    expect(formatPlan(planDown('app', one, state, { images: ['app-web'] }))).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, removeContainer, down
      [1] -> #2 network:default, removeNetwork, down
      [1] -> #3 image:app-web, removeImage, down --rmi"
    `)
  })
  test('a provider is told after the containers are gone', () => {
    const of = project({
      services: { web: { depends_on: { cloud: started } }, cloud: { provider: { type: 'cloud' } } },
    })
    expect(formatPlan(planDown('app', of, observed(of, [containerOf(of, 'web')]), {}))).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, stopContainer, down
      [1] -> #2 service:web:1, removeContainer, down
      [2] -> #3 service:cloud, runProvider, down
      [2,3] -> #4 network:default, removeNetwork, down"
    `)
  })
})

describe('stop, start, restart, rm', () => {
  test('stop goes from dependents to dependencies', () => {
    expect(formatPlan(planStopServices('app', app, all, { services: [] }))).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, stopContainer, stop
      [1] -> #2 service:api:1, stopContainer, stop
      [2] -> #3 service:db:1, stopContainer, stop"
    `)
  })
  test('stop of a service leaves its dependencies', () => {
    expect(formatPlan(planStopServices('app', app, all, { services: ['web'] }))).toMatchInlineSnapshot(
      `"[] -> #1 service:web:1, stopContainer, stop"`,
    )
  })
  test('stop keeps the order over a service that does not run', () => {
    const state = observed(app, [
      containerOf(app, 'web'),
      containerOf(app, 'api', { status: 'exited' }),
      containerOf(app, 'db'),
    ])
    expect(formatPlan(planStopServices('app', app, state, { services: [] }))).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, stopContainer, stop
      [1] -> #2 service:db:1, stopContainer, stop"
    `)
  })
  test('start brings dependencies up first', () => {
    const state = observed(
      app,
      ['web', 'api', 'db'].map((name) => containerOf(app, name, { status: 'exited' })),
    )
    expect(formatPlan(planStartServices(app, state, { newId: () => 'x' }))).toMatchInlineSnapshot(`
      "[] -> #1 service:db:1, startContainer, exited
      [1] -> #2 service:api:1, startContainer, exited
      [2] -> #3 service:web:1, startContainer, exited"
    `)
  })
  test('start of a service without a container is an error', () => {
    expect(() => planStartServices(app, observed(app), { newId: () => 'x' })).toThrow(
      'service "db" has no container to start',
    )
  })
  test('restart goes in dependency order', () => {
    expect(formatPlan(planRestart(app, all, { services: [] }))).toMatchInlineSnapshot(`
      "[] -> #1 service:db:1, restartContainer, restart
      [1] -> #2 service:api:1, restartContainer, restart
      [2] -> #3 service:web:1, restartContainer, restart"
    `)
  })
  test('restart takes dependents with restart: true along', () => {
    const of = project({ services: { web: { depends_on: { db: { ...started, restart: true } } }, db: {} } })
    const state = observed(of, [containerOf(of, 'web'), containerOf(of, 'db')])
    expect(formatPlan(planRestart(of, state, { services: ['db'] }))).toMatchInlineSnapshot(`
      "[] -> #1 service:db:1, restartContainer, restart
      [1] -> #2 service:web:1, restartContainer, dependency restarted"
    `)
    expect(formatPlan(planRestart(of, state, { services: ['db'], noDeps: true }))).toMatchInlineSnapshot(
      `"[] -> #1 service:db:1, restartContainer, restart"`,
    )
  })
  test('rm takes stopped ones, with --stop all of them', () => {
    const containers = [containerOf(app, 'web'), containerOf(app, 'db', { status: 'exited' })]
    expect(formatPlan(planRemoveServices('app', app, containers, {}))).toMatchInlineSnapshot(
      `"[] -> #1 service:db:1, removeContainer, rm"`,
    )
    expect(formatPlan(planRemoveServices('app', app, containers, { stop: true }))).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, stopContainer, rm --stop
      [1] -> #2 service:web:1, removeContainer, rm
      [] -> #3 service:db:1, removeContainer, rm"
    `)
  })
  test('kill, pause and unpause take only those in the right state', () => {
    const containers = [
      containerOf(app, 'web'),
      containerOf(app, 'api', { status: 'paused' }),
      containerOf(app, 'db', { status: 'exited' }),
    ]
    expect(formatPlan(planSignal('app', containers, { kind: 'kill', signal: 'SIGHUP' }))).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, killContainer, kill
      [] -> #2 service:api:1, killContainer, kill"
    `)
    expect(formatPlan(planSignal('app', containers, { kind: 'pause' }))).toMatchInlineSnapshot(
      `"[] -> #1 service:web:1, pauseContainer, pause"`,
    )
    expect(formatPlan(planSignal('app', containers, { kind: 'unpause' }))).toMatchInlineSnapshot(
      `"[] -> #1 service:api:1, unpauseContainer, unpause"`,
    )
  })
})
