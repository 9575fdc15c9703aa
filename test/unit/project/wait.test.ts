import { describe, expect, test } from 'vitest'
import type { Container } from '../../../src/engine/containers/types.ts'
import { judge } from '../../../src/project/wait.ts'
import { containerOf, project } from './builders.ts'

const app = project({ services: { db: {} } })
function db(
  status: Container['state']['status'],
  exitCode = 0,
  health?: 'starting' | 'healthy' | 'unhealthy',
): Container {
  const container = containerOf(app, 'db', { status, exitCode })
  return {
    ...container,
    state: { ...container.state, health: health && { status: health, failingStreak: 0, log: [] } },
  }
}

describe('service_healthy', () => {
  test.each([
    [db('running', 0, 'starting'), { kind: 'wait' }],
    [db('running', 0, 'healthy'), { kind: 'ok', text: 'Healthy' }],
    [db('running', 0, 'unhealthy'), { kind: 'failed', message: 'container app-db-1 is unhealthy' }],
    [db('exited', 1), { kind: 'failed', message: 'container app-db-1 exited (1)' }],
    [db('running'), { kind: 'failed', message: 'container app-db-1 has no healthcheck configured' }],
  ])('%#', (container, verdict) => {
    expect(judge('healthy', 'db', container)).toEqual(verdict)
  })
})

describe('service_completed_successfully', () => {
  test.each([
    [db('running'), { kind: 'wait' }],
    [db('exited', 0), { kind: 'ok', text: 'Exited' }],
    [db('exited', 3), { kind: 'failed', message: 'service "db" didn\'t complete successfully: exit 3' }],
  ])('%#', (container, verdict) => {
    expect(judge('completed', 'db', container)).toEqual(verdict)
  })
})

describe('--wait', () => {
  test.each([
    [db('running'), { kind: 'ok', text: 'Healthy' }],
    [db('created'), { kind: 'wait' }],
    [db('running', 0, 'starting'), { kind: 'wait' }],
    [db('exited', 0), { kind: 'failed', message: 'container app-db-1 exited (0)' }],
  ])('%#', (container, verdict) => {
    expect(judge('healthyOrRunning', 'db', container)).toEqual(verdict)
  })
})
