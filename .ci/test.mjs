// Runs lint, type check and the three vitest projects, and closes with the line `N passed, N failed`.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const results = mkdtempSync(join(tmpdir(), 'tcompose-results-'))
let passed = 0
let failed = 0
let skipped = 0

const step = (name, command, args) => {
  const { status } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] })
  if (status === 0) passed++
  else {
    failed++
    process.stdout.write(`FAILED: ${name}\n`)
  }
}
step('lint', 'biome', ['check', '--error-on-warnings', 'src', 'test', '.ci'])
step('types', 'tsc', ['--noEmit'])

for (const project of process.argv.length > 2 ? process.argv.slice(2) : ['unit', 'integration', 'e2e']) {
  const file = join(results, `${project}.json`)
  const { status } = spawnSync(
    'vitest',
    [
      'run',
      '--config',
      'test/vitest.config.ts',
      '--project',
      project,
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${file}`,
    ],
    { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, NO_COLOR: '1' } },
  )
  let counted = false
  try {
    const report = JSON.parse(readFileSync(file, 'utf8'))
    passed += report.numPassedTests
    failed += report.numFailedTests
    skipped += report.numPendingTests + report.numTodoTests
    counted = report.numFailedTests > 0
    for (const suite of report.testResults) {
      if (suite.status === 'failed' && suite.assertionResults.every((one) => one.status !== 'failed')) {
        process.stdout.write(`FAILED: ${suite.name}: ${suite.message}\n`)
        failed++
        counted = true
      }
      for (const one of suite.assertionResults)
        if (one.status === 'failed') process.stdout.write(`FAILED: ${project}: ${one.fullName}\n`)
    }
  } catch (error) {
    process.stdout.write(`no report of ${project}: ${error.message}\n`)
  }
  if (status !== 0 && !counted) failed++
}
rmSync(results, { recursive: true, force: true })
process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`)
process.exit(failed === 0 ? 0 : 1)
