import { appendFileSync, writeFileSync } from 'node:fs'

/** One container's part in an attached `up`. */
export interface ContainerRun {
  readonly service: string
  readonly name: string
  /** From its start to its end. */
  readonly seconds: number
  /** Absent: it still ran when we ended. */
  readonly exitCode: number | undefined
  /** It ended because we stopped it: its exit code says nothing. */
  readonly stopped: boolean
}

/** JUnit's XML with a test case per container, for CI systems that show it. */
export function formatJunit(project: string, runs: readonly ContainerRun[]): string {
  const failures = runs.filter(failed)
  const total = runs.reduce((sum, run) => sum + run.seconds, 0)
  const cases = runs.map((run) => {
    const attributes = `classname="${escapeXml(project)}.${escapeXml(run.service)}" name="${escapeXml(run.name)}" time="${run.seconds.toFixed(3)}"`
    if (!failed(run)) return `    <testcase ${attributes}/>\n`
    const message = `exited with code ${run.exitCode}`
    return `    <testcase ${attributes}>\n      <failure message="${message}">${escapeXml(run.name)} ${message}</failure>\n    </testcase>\n`
  })
  const counts = `tests="${runs.length}" failures="${failures.length}" time="${total.toFixed(3)}"`
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ${counts}>\n  <testsuite name="${escapeXml(project)}" ${counts}>\n${cases.join('')}  </testsuite>\n</testsuites>\n`
}

/** A table in Markdown, as GitHub shows step summaries. */
export function formatSummary(project: string, runs: readonly ContainerRun[], exitCode: number): string {
  const rows = runs.map((run) => {
    const end = run.exitCode === undefined ? 'still running' : `${run.exitCode}${run.stopped ? ' (stopped)' : ''}`
    return `| ${run.service} | ${run.name} | ${run.seconds.toFixed(1)} s | ${end} |\n`
  })
  return `### ${project}: exit code ${exitCode}\n\n| service | container | time | exit code |\n|---|---|---|---|\n${rows.join('')}\n`
}

/** Workflow commands that mark what failed in GitHub's view of a run. */
export function formatAnnotations(runs: readonly ContainerRun[]): string {
  return runs
    .filter(failed)
    .map((run) => `::error title=${run.service}::${run.name} exited with code ${run.exitCode}\n`)
    .join('')
}

function failed(run: ContainerRun): boolean {
  return run.exitCode !== undefined && run.exitCode !== 0 && !run.stopped
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

/** Writes the reports that were asked for: a file by `--junit`, the rest where GitHub's variables say. */
export function writeReports(
  project: string,
  runs: readonly ContainerRun[],
  options: { readonly exitCode: number; readonly junit: string | undefined; readonly env: NodeJS.ProcessEnv },
): void {
  if (options.junit !== undefined) writeFileSync(options.junit, formatJunit(project, runs))
  if (options.env.GITHUB_ACTIONS !== 'true') return
  if (options.env.GITHUB_STEP_SUMMARY) {
    appendFileSync(options.env.GITHUB_STEP_SUMMARY, formatSummary(project, runs, options.exitCode))
  }
  process.stdout.write(formatAnnotations(runs))
}
