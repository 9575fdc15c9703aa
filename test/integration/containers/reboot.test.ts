import { execFileSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { isAlive } from '../../../src/platform/process.ts'
import { eventually } from '../../support/eventually.ts'
import { createWorkspace } from '../../support/workspace.ts'
import { execIn, startSleeper } from './run-container.ts'

test('after a boot whoever ran is recorded as ended, and can be started on its network again', async () => {
  await using workspace = await createWorkspace()
  const before = await workspace.engine()
  const network = await before.networks.create({ name: `boot-${workspace.id}` })
  const { id, state } = await startSleeper(before, {
    network: { kind: 'networks', endpoints: [{ network: network.name }] },
  })
  await before[Symbol.asyncDispose]()

  // What a power cut leaves: no process, no link, an empty run directory; the records name another boot.
  process.kill(state.shimPid, 'SIGKILL')
  process.kill(state.pid, 'SIGKILL')
  await eventually(() => !isAlive({ pid: state.pid, start: state.pidStart }))
  rmSync(workspace.paths.run, { recursive: true })
  execFileSync('ip', ['link', 'delete', network.bridge])
  const db = new DatabaseSync(workspace.paths.database)
  db.exec("UPDATE containers SET state = json_set(state, '$.bootId', 'another')")
  db.close()

  const after = await workspace.engine()
  expect((await after.containers.get(id)).state).toMatchObject({ status: 'exited', exitCode: 255 })
  expect(existsSync(`/sys/class/net/${network.bridge}`)).toBe(true)
  const { endpoints } = await after.containers.start(id)
  const { stdout } = await execIn(after, id, ['ip', '-o', '-4', 'addr', 'show', 'eth0'])
  expect(stdout).toContain(`${endpoints[0]?.ipv4}/`)
  await after.containers.remove(id, { force: true })
})
