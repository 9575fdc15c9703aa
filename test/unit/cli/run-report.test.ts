import { expect, test } from 'vitest'
import { type ContainerRun, formatAnnotations, formatJunit, formatSummary } from '../../../src/cli/run-report.ts'

const RUNS: readonly ContainerRun[] = [
  { service: 'tests', name: 'ci-tests-1', seconds: 1.5, exitCode: 3, stopped: false },
  { service: 'db', name: 'ci-db-1', seconds: 2, exitCode: 143, stopped: true },
  { service: 'ok', name: 'ci-ok-1', seconds: 0.25, exitCode: 0, stopped: false },
]

test('a container that failed by itself is a failure, one that was stopped is not', () => {
  expect(formatJunit('ci', RUNS)).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="3" failures="1" time="3.750">
  <testsuite name="ci" tests="3" failures="1" time="3.750">
    <testcase classname="ci.tests" name="ci-tests-1" time="1.500">
      <failure message="exited with code 3">ci-tests-1 exited with code 3</failure>
    </testcase>
    <testcase classname="ci.db" name="ci-db-1" time="2.000"/>
    <testcase classname="ci.ok" name="ci-ok-1" time="0.250"/>
  </testsuite>
</testsuites>
`)
})

test('the summary has a row per container', () => {
  expect(formatSummary('ci', RUNS, 3)).toContain('| db | ci-db-1 | 2.0 s | 143 (stopped) |')
})

test('what failed is annotated', () => {
  expect(formatAnnotations(RUNS)).toBe('::error title=tests::ci-tests-1 exited with code 3\n')
})
