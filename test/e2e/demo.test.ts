import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import { createWorkspace } from '../support/workspace.ts'

interface Answer {
  readonly visits: number
  readonly notes: readonly { readonly id: string; readonly text: string }[]
}

test('the demo app: nginx, a Node API, PostgreSQL and Redis built from Dockerfiles; rows outlive down, not down -v', {
  timeout: 600_000,
}, async () => {
  await using work = await createWorkspace(['debian'])
  cpSync(join(import.meta.dirname, '../../examples/demo'), work.dir, { recursive: true })
  const port = await freePort()
  const env = { DEMO_PORT: String(port), COMPOSE_PROJECT_NAME: `demo-${work.id}` }
  const ask = (): Promise<Answer> =>
    eventually(async () => {
      const response = await fetch(`http://127.0.0.1:${port}/`)
      if (!response.ok) throw new Error(await response.text())
      return (await response.json()) as Answer
    }, 60_000)

  await work.ok(['up', '-d', '--build', '--wait'], { env })
  const first = await ask()
  expect(first.notes).toHaveLength(3)
  const added = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: 'a note of mine' })
  expect(((await added.json()) as { text: string }).text).toBe('a note of mine')

  await work.ok(['stop'], { env })
  await work.ok(['start'], { env })
  const restarted = await ask()
  expect(restarted.notes.map((note) => note.text)).toContain('a note of mine')
  expect(restarted.visits).toBeGreaterThan(first.visits)

  await work.ok(['down'], { env })
  expect((await work.ok(['ps', '-aq'], { env })).stdout).toBe('')
  await work.ok(['up', '-d', '--wait'], { env })
  expect((await ask()).notes).toHaveLength(4)

  await work.ok(['down', '-v'], { env })
  await work.ok(['up', '-d', '--wait'], { env })
  const fresh = await ask()
  expect(fresh.notes).toHaveLength(3)
  await work.ok(['down', '-v'], { env })
})
