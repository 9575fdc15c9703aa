import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { rootTarball } from '../support/images.ts'
import { type BenchEngine, startDocker, startTcompose } from './engines.ts'
import { equalServices, layeredServices, loggingService, tenSteps } from './projects.ts'

/**
 * npm run bench [-- --runs N] [--cases cli,one,ten,fifty,logs,build,memory] [--no-peer]
 *
 * The same work with tcompose and, where dockerd and Compose v2 are installed, with them, in turn, in one run, in
 * namespaces of its own. Prints medians and ratios as Markdown.
 */
const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    cases: { type: 'string', default: 'cli,one,ten,fifty,logs,build,memory' },
    'no-peer': { type: 'boolean', default: false },
    inside: { type: 'boolean', default: false },
  },
})

if (!options.inside) {
  rootTarball('busybox')
  const again = [process.execPath, import.meta.filename, '--inside', ...process.argv.slice(2)]
  process.exit(spawnSync(join(import.meta.dirname, 'namespace.sh'), again, { stdio: 'inherit' }).status ?? 1)
}

const base = mkdtempSync(join(tmpdir(), 'tcb-'))
const samples = new Map<string, Map<string, number[]>>()
const record = (what: string, engine: string, value: number): void => {
  const row = samples.get(what) ?? samples.set(what, new Map()).get(what)
  row?.set(engine, [...(row.get(engine) ?? []), value])
}

function project(name: string, files: Readonly<Record<string, string>>): string {
  const folder = join(base, 'projects', name)
  mkdirSync(folder, { recursive: true })
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text)
  return folder
}

const folders = {
  one: project('one', { 'compose.yaml': equalServices(1) }),
  ten: project('ten', { 'compose.yaml': layeredServices() }),
  fifty: project('fifty', { 'compose.yaml': equalServices(50) }),
  logs: project('logs', { 'compose.yaml': loggingService() }),
  build: project('build', { 'compose.yaml': tenSteps().compose, Dockerfile: tenSteps().dockerfile }),
}

const cases: Readonly<Record<string, (engine: BenchEngine) => void>> = {
  cli(engine) {
    for (let i = 0; i < 3; i++) {
      record('cli help (s)', engine.name, engine.compose(base, ['--help']))
      record('cli version (s)', engine.name, engine.compose(base, ['version']))
    }
  },
  one: (engine) => services(engine, 'one', 's01'),
  ten: (engine) => services(engine, 'ten', 'middle1'),
  fifty: (engine) => services(engine, 'fifty', 's25'),
  logs(engine) {
    engine.compose(folders.logs, ['up', '-d'])
    engine.compose(folders.logs, ['exec', '-T', 'app', 'sh', '-c', 'until test -e /tmp/done; do sleep 0.1; done'])
    for (let i = 0; i < 2; i++)
      record('logs of 100,000 lines (s)', engine.name, engine.compose(folders.logs, ['logs', '--no-color', 'app']))
    engine.compose(folders.logs, ['down', '-v'])
  },
  build(engine) {
    record('build of ten steps, uncached (s)', engine.name, engine.compose(folders.build, ['build', '--no-cache']))
    record('build of ten steps, cached (s)', engine.name, engine.compose(folders.build, ['build']))
  },
  memory(engine) {
    engine.compose(folders.ten, ['up', '-d'])
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000)
    record('memory with 10 containers (MiB PSS)', engine.name, engine.residentMiB())
    engine.compose(folders.ten, ['down', '-v'])
  },
}

function services(engine: BenchEngine, name: keyof typeof folders, target: string): void {
  const run = (what: string, args: readonly string[]): void =>
    record(`${name}: ${what} (s)`, engine.name, engine.compose(folders[name], args))
  run('up -d', ['up', '-d'])
  for (let i = 0; i < 3; i++) {
    run('up -d again', ['up', '-d'])
    run('ps', ['ps'])
    run('exec true', ['exec', '-T', target, 'true'])
  }
  if (name === 'one') run('run --rm true', ['run', '--rm', '-T', target, 'true'])
  run('restart of one', ['restart', target])
  run('down', ['down', '-v'])
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

function table(engines: readonly BenchEngine[]): string {
  const [ours, peer] = engines
  const rows = [...samples].map(([what, row]) => {
    const mine = median(row.get(ours?.name ?? '') ?? [Number.NaN])
    const theirs = peer === undefined ? undefined : median(row.get(peer.name) ?? [Number.NaN])
    return `| ${what} | ${mine.toFixed(3)} | ${theirs === undefined ? '' : `${theirs.toFixed(3)} | ${(mine / theirs).toFixed(2)}`} |`
  })
  const head =
    peer === undefined
      ? '| case | tcompose | |\n|---|--:|--:|'
      : `| case | tcompose | ${peer.name} | ratio |\n|---|--:|--:|--:|`
  return `${head}\n${rows.join('\n')}\n`
}

const engines: BenchEngine[] = [startTcompose(base, rootTarball('busybox'))]
try {
  const peer = options['no-peer'] ? undefined : startDocker(base, rootTarball('busybox'))
  if (peer) engines.push(peer)
  for (let round = 0; round < Number(options.runs); round++) {
    for (const name of options.cases.split(',')) {
      // Each round begins with the other engine, so that none always meets the warmer machine.
      for (const engine of round % 2 === 0 ? engines : engines.toReversed()) cases[name]?.(engine)
    }
    process.stderr.write(`round ${round + 1} of ${options.runs} done\n`)
  }
  process.stdout.write(table(engines))
} finally {
  for (const engine of engines) engine.stop()
  spawnSync('sleep', ['2'])
  rmSync(base, { recursive: true, force: true })
}
