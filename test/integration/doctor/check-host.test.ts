import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkHost } from '../../../src/engine/doctor/check-host.ts'
import { enginePaths } from '../../../src/engine/state/paths.ts'

test('the host is looked at without leaving anything, and whatever is wrong comes with a command', async () => {
  const base = mkdtempSync(join(tmpdir(), 'tcd-'))
  try {
    const paths = enginePaths({ TCOMPOSE_ROOT: join(base, 'root'), TCOMPOSE_RUN: join(base, 'run') })
    const checks = await checkHost(paths)
    expect(checks.map((check) => check.id)).toEqual(
      expect.arrayContaining(['runc', 'nft', 'ip', 'overlay', 'cgroup', 'rules', 'pools', 'foreign', 'disk', 'state']),
    )
    for (const check of checks) {
      expect(check.detail, check.id).not.toBe('')
      if (check.status !== 'ok') expect(check.fix, check.id).toBeTruthy()
    }
    // What every other test here needs.
    for (const id of ['runc', 'nft', 'ip', 'overlay', 'bridge', 'rules']) {
      expect(checks.find((check) => check.id === id)).toMatchObject({ status: 'ok' })
    }
    expect(readdirSync(base)).toEqual([])
  } finally {
    rmSync(base, { recursive: true, force: true })
  }
})

test('a state directory that cannot be made is a failure', async () => {
  const paths = enginePaths({ TCOMPOSE_ROOT: '/proc/nowhere/root', TCOMPOSE_RUN: '/proc/nowhere/run' })
  const checks = await checkHost(paths)
  expect(checks.find((check) => check.id === 'overlay')).toMatchObject({ status: 'fail' })
})
