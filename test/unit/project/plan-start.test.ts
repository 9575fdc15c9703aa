import { describe, expect, test } from 'vitest'
import { LABEL } from '../../../src/project/labels.ts'
import { containerOf, observed, planOf, planText, project } from './builders.ts'

const START = { start: true } as const

describe('starting', () => {
  test('a service starts after the one it depends on', () => {
    const app = project({
      services: { web: { depends_on: { db: { condition: 'service_started', required: true } } }, db: {} },
    })
    expect(planText(app, observed(app), START)).toMatchInlineSnapshot(`
      "[] -> #1 service:db:1, createContainer, no container
      [] -> #2 service:web:1, createContainer, no container
      [1] -> #3 service:db:1, startContainer, created
      [2,3] -> #4 service:web:1, startContainer, created"
    `)
  })
  test('service_healthy waits', () => {
    const app = project({
      services: { web: { depends_on: { db: { condition: 'service_healthy', required: true } } }, db: {} },
    })
    expect(planText(app, observed(app), START)).toMatchInlineSnapshot(`
      "[] -> #1 service:db:1, createContainer, no container
      [] -> #2 service:web:1, createContainer, no container
      [1] -> #3 service:db:1, startContainer, created
      [3] -> #4 service:db:1, waitFor, service_healthy
      [2,4] -> #5 service:web:1, startContainer, created"
    `)
  })
  test('service_healthy waits also for one that runs already', () => {
    const app = project({
      services: { web: { depends_on: { db: { condition: 'service_healthy', required: true } } }, db: {} },
    })
    expect(planText(app, observed(app, [containerOf(app, 'db')]), START)).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, createContainer, no container
      [] -> #2 service:db:1, waitFor, service_healthy
      [1,2] -> #3 service:web:1, startContainer, created"
    `)
  })
  test('service_completed_successfully waits for the end', () => {
    const app = project({
      services: {
        web: { depends_on: { migrate: { condition: 'service_completed_successfully', required: true } } },
        migrate: {},
      },
    })
    expect(planText(app, observed(app), START)).toMatchInlineSnapshot(`
      "[] -> #1 service:migrate:1, createContainer, no container
      [] -> #2 service:web:1, createContainer, no container
      [1] -> #3 service:migrate:1, startContainer, created
      [3] -> #4 service:migrate:1, waitFor, service_completed_successfully
      [2,4] -> #5 service:web:1, startContainer, created"
    `)
  })
  test('all replicas of a dependency are waited for, each after its own start', () => {
    const app = project({
      services: {
        web: { depends_on: { db: { condition: 'service_healthy', required: true } } },
        db: { scale: 2 },
      },
    })
    expect(planText(app, observed(app), START)).toMatchInlineSnapshot(`
      "[] -> #1 service:db:1, createContainer, no container
      [] -> #2 service:db:2, createContainer, no container
      [] -> #3 service:web:1, createContainer, no container
      [1] -> #4 service:db:1, startContainer, created
      [2] -> #5 service:db:2, startContainer, created
      [4] -> #6 service:db:1, waitFor, service_healthy
      [5] -> #7 service:db:2, waitFor, service_healthy
      [3,6,7] -> #8 service:web:1, startContainer, created"
    `)
  })
  test('two dependents share one wait', () => {
    const healthy = { condition: 'service_healthy', required: true } as const
    const app = project({
      services: { a: { depends_on: { db: healthy } }, b: { depends_on: { db: healthy } }, db: {} },
    })
    expect(planText(app, observed(app), START)).toMatchInlineSnapshot(`
      "[] -> #1 service:db:1, createContainer, no container
      [] -> #2 service:a:1, createContainer, no container
      [] -> #3 service:b:1, createContainer, no container
      [1] -> #4 service:db:1, startContainer, created
      [4] -> #5 service:db:1, waitFor, service_healthy
      [2,5] -> #6 service:a:1, startContainer, created
      [3,5] -> #7 service:b:1, startContainer, created"
    `)
  })
  test('required: false is carried by the wait', () => {
    const app = project({
      services: { web: { depends_on: { db: { condition: 'service_healthy', required: false } } }, db: {} },
    })
    const waits = planOf(app, observed(app), START).operations.filter((one) => one.action.kind === 'waitFor')
    expect(waits.map((one) => one.action.kind === 'waitFor' && one.action.required)).toEqual([false])
  })
  test('a dependency that is not in the project is no dependency (--no-deps)', () => {
    const app = project({ services: { web: { depends_on: { db: { condition: 'service_healthy', required: true } } } } })
    expect(planText(app, observed(app), START)).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, createContainer, no container
      [1] -> #2 service:web:1, startContainer, created"
    `)
  })
  test('a dependency with scale 0 is not waited for', () => {
    const app = project({
      services: {
        web: { depends_on: { db: { condition: 'service_healthy', required: true } } },
        db: { scale: 0 },
      },
    })
    expect(planText(app, observed(app), START)).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, createContainer, no container
      [1] -> #2 service:web:1, startContainer, created"
    `)
  })
  test('a provider is not waited for', () => {
    const app = project({
      services: {
        web: { depends_on: { cloud: { condition: 'service_started', required: true } } },
        cloud: { provider: { type: 'cloud' } },
      },
    })
    expect(planText(app, observed(app), START)).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, createContainer, no container
      [1] -> #2 service:web:1, startContainer, created"
    `)
  })
  test('a chain starts in order, independent services at once', () => {
    const started = { condition: 'service_started', required: true } as const
    const app = project({
      services: { a: { depends_on: { b: started } }, b: { depends_on: { c: started } }, c: {}, free: {} },
    })
    expect(planText(app, observed(app), START)).toMatchInlineSnapshot(`
      "[] -> #1 service:c:1, createContainer, no container
      [] -> #2 service:b:1, createContainer, no container
      [] -> #3 service:a:1, createContainer, no container
      [] -> #4 service:free:1, createContainer, no container
      [1] -> #5 service:c:1, startContainer, created
      [2,5] -> #6 service:b:1, startContainer, created
      [3,6] -> #7 service:a:1, startContainer, created
      [4] -> #8 service:free:1, startContainer, created"
    `)
  })
  test('a cycle is an error that names it', () => {
    const started = { condition: 'service_started', required: true } as const
    const app = project({ services: { a: { depends_on: { b: started } }, b: { depends_on: { a: started } } } })
    expect(() => planText(app, observed(app), START)).toThrow('dependency cycle detected: a -> b -> a')
  })
  test('what runs is left alone and shown as running', () => {
    const app = project({ services: { web: {} } })
    const plan = planOf(app, observed(app, [containerOf(app, 'web')]), START)
    expect(plan.operations).toEqual([])
    expect(plan.unchanged).toEqual([{ id: 'Container app-web-1', done: 'Running' }])
  })
  test.each(['exited', 'created', 'dead'] as const)('a container that is %s is started', (status) => {
    const app = project({ services: { web: {} } })
    expect(planText(app, observed(app, [containerOf(app, 'web', { status })]), START)).toBe(
      `[] -> #1 service:web:1, startContainer, ${status}`,
    )
  })
  test('a paused container is unpaused', () => {
    const app = project({ services: { web: {} } })
    expect(planText(app, observed(app, [containerOf(app, 'web', { status: 'paused' })]), START)).toBe(
      '[] -> #1 service:web:1, unpauseContainer, paused',
    )
  })
  test('a container in back-off is left to its restart policy', () => {
    const app = project({ services: { web: {} } })
    expect(planText(app, observed(app, [containerOf(app, 'web', { status: 'restarting' })]), START)).toBe('')
  })
})

describe('hooks', () => {
  test('post_start hooks run one after the other, and dependents wait for them', () => {
    const app = project({
      services: {
        web: { depends_on: { db: { condition: 'service_started', required: true } } },
        db: { post_start: [{ command: ['seed'] }, { command: ['index'] }] },
      },
    })
    expect(planText(app, observed(app), START)).toMatchInlineSnapshot(`
      "[] -> #1 service:db:1, createContainer, no container
      [] -> #2 service:web:1, createContainer, no container
      [1] -> #3 service:db:1, startContainer, created
      [3] -> #4 service:db:1, runHook, post_start
      [4] -> #5 service:db:1, runHook, post_start
      [2,5] -> #6 service:web:1, startContainer, created"
    `)
  })
  test('pre_start hooks run once, in order, before any replica starts', () => {
    const app = project({
      services: { web: { scale: 2, pre_start: [{ command: ['a'] }, { command: ['b'] }] } },
    })
    expect(planText(app, observed(app), START)).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, createContainer, no container
      [] -> #2 service:web:2, createContainer, no container
      [1,2] -> #3 service:web:pre_start, runInit, pre_start
      [3] -> #4 service:web:pre_start, runInit, pre_start
      [1,4] -> #5 service:web:1, startContainer, created
      [2,4] -> #6 service:web:2, startContainer, created"
    `)
  })
  test('pre_start does not run again when scaling up', () => {
    const app = project({ services: { web: { scale: 2, pre_start: [{ command: ['a'] }] } } })
    expect(planText(app, observed(app, [containerOf(app, 'web')]), START)).toMatchInlineSnapshot(`
      "[] -> #1 service:web:2, createContainer, no container
      [1] -> #2 service:web:2, startContainer, created"
    `)
  })
  test('pre_start runs again when the service is recreated', () => {
    const app = project({ services: { web: { pre_start: [{ command: ['a'] }] } } })
    const state = observed(app, [containerOf(app, 'web', { labels: { [LABEL.configHash]: 'old' } })])
    expect(planText(app, state, START)).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, createContainer, config hash changed
      [1] -> #2 service:web:1, stopContainer, config hash changed
      [2] -> #3 service:web:1, removeContainer, config hash changed
      [3] -> #4 service:web:1, renameContainer, config hash changed
      [4] -> #5 service:web:pre_start, runInit, pre_start
      [4,5] -> #6 service:web:1, startContainer, created"
    `)
  })
  test('pre_start with per_replica runs for each', () => {
    const app = project({ services: { web: { scale: 2, pre_start: [{ command: ['a'], per_replica: true }] } } })
    expect(planText(app, observed(app), START)).toMatchInlineSnapshot(`
      "[] -> #1 service:web:1, createContainer, no container
      [] -> #2 service:web:2, createContainer, no container
      [1,2] -> #3 service:web:pre_start, runInit, pre_start
      [3] -> #4 service:web:pre_start, runInit, pre_start
      [1,4] -> #5 service:web:1, startContainer, created
      [2,4] -> #6 service:web:2, startContainer, created"
    `)
  })
  test('pre_start waits for the dependencies of its service', () => {
    const app = project({
      services: {
        web: {
          depends_on: { db: { condition: 'service_healthy', required: true } },
          pre_start: [{ command: ['migrate'] }],
        },
        db: {},
      },
    })
    expect(planText(app, observed(app), START)).toMatchInlineSnapshot(`
      "[] -> #1 service:db:1, createContainer, no container
      [] -> #2 service:web:1, createContainer, no container
      [1] -> #3 service:db:1, startContainer, created
      [3] -> #4 service:db:1, waitFor, service_healthy
      [2,4] -> #5 service:web:pre_start, runInit, pre_start
      [2,4,5] -> #6 service:web:1, startContainer, created"
    `)
  })
})

describe('--wait', () => {
  test('waits for every service, and for the end of one-shots that others need', () => {
    const app = project({
      services: {
        web: { depends_on: { migrate: { condition: 'service_completed_successfully', required: true } } },
        migrate: {},
      },
    })
    expect(planText(app, observed(app), { ...START, wait: true })).toMatchInlineSnapshot(`
      "[] -> #1 service:migrate:1, createContainer, no container
      [] -> #2 service:web:1, createContainer, no container
      [1] -> #3 service:migrate:1, startContainer, created
      [3] -> #4 service:migrate:1, waitFor, service_completed_successfully
      [2,4] -> #5 service:web:1, startContainer, created
      [5] -> #6 service:web:1, waitFor, wait"
    `)
  })
  test('waits also for what runs already', () => {
    const app = project({ services: { web: {} } })
    expect(planText(app, observed(app, [containerOf(app, 'web')]), { ...START, wait: true })).toMatchInlineSnapshot(
      `"[] -> #1 service:web:1, waitFor, wait"`,
    )
  })
})

describe('run', () => {
  test("dependencies are started and waited for; the service's own containers are left", () => {
    const app = project({
      services: { web: { depends_on: { db: { condition: 'service_healthy', required: true } } }, db: {} },
    })
    expect(planText(app, observed(app), { ...START, oneOff: 'web', services: ['web'] })).toMatchInlineSnapshot(`
      "[] -> #1 service:db:1, createContainer, no container
      [1] -> #2 service:db:1, startContainer, created
      [2] -> #3 service:db:1, waitFor, service_healthy"
    `)
  })
})

describe('a failure', () => {
  test('does not keep other containers from being created, but from being started', () => {
    const app = project({ services: { a: {}, b: {} } })
    const { operations } = planOf(app, observed(app), START)
    expect(operations.map((one) => [one.action.kind, one.afterFailure])).toEqual([
      ['createContainer', 'run'],
      ['createContainer', 'run'],
      ['startContainer', 'skip'],
      ['startContainer', 'skip'],
    ])
  })
})
