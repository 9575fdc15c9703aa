import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../../..')
const src = join(root, 'src')

/** What each layer may import, besides itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  platform: ['base'],
  dockerfile: ['base'],
  runtime: ['platform', 'base'],
  engine: ['dockerfile', 'runtime', 'platform', 'base'],
  compose: ['platform', 'base'],
  ui: ['base'],
  project: ['compose', 'engine', 'base'],
  watch: ['project', 'compose', 'engine', 'dockerfile', 'base'],
  api: ['engine', 'base'],
  agent: ['api', 'engine', 'platform', 'base'],
  'index.ts': ['project', 'compose', 'engine', 'base'],
  cli: [
    'index.ts',
    'agent',
    'api',
    'watch',
    'project',
    'ui',
    'compose',
    'engine',
    'runtime',
    'dockerfile',
    'platform',
    'base',
  ],
}

/** The one layer that may know a library. */
const LIBRARY_HOME: Readonly<Record<string, string>> = {
  commander: 'cli',
  listr2: 'ui',
  '@dagrejs/dagre': 'cli',
  chokidar: 'watch',
  yaml: 'compose',
  undici: 'engine',
}

interface Import {
  readonly from: string
  readonly to: string
  readonly typeOnly: boolean
}

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .map((name) => join(folder, name))
}

const files = sources(src)
const imports: Import[] = files.flatMap((file) => {
  const text = readFileSync(file, 'utf8')
  const found: Import[] = []
  for (const match of text.matchAll(/^\s*(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm)) {
    found.push({ from: file, to: match[2] as string, typeOnly: match[1] !== undefined })
  }
  for (const match of text.matchAll(/\bimport\('([^']+)'\)/g))
    found.push({ from: file, to: match[1] as string, typeOnly: true })
  return found
})

const layerOf = (path: string): string => relative(src, path).split('/')[0] as string
const resolved = (one: Import): string => normalize(join(dirname(one.from), one.to))

test('every layer is in the table', () => {
  const layers = readdirSync(src).filter((name) => name !== 'ARCHITECTURE.md')
  expect(layers.filter((name) => !(name in MAY_IMPORT))).toEqual([])
})

test('a layer imports only what its row names', () => {
  const broken = imports
    .filter((one) => one.to.startsWith('.'))
    .filter((one) => {
      const from = layerOf(one.from)
      const to = layerOf(resolved(one))
      return from !== to && !MAY_IMPORT[from]?.includes(to)
    })
    .map((one) => `${relative(src, one.from)} imports ${one.to}`)
  expect(broken).toEqual([])
})

test('a library is imported in its home only', () => {
  const broken = imports
    .filter((one) => !one.to.startsWith('.') && !one.to.startsWith('node:'))
    .filter((one) => {
      const name = one.to.startsWith('@') ? one.to.split('/').slice(0, 2).join('/') : (one.to.split('/')[0] as string)
      return LIBRARY_HOME[name] !== layerOf(one.from)
    })
    .map((one) => `${relative(src, one.from)} imports ${one.to}`)
  expect(broken).toEqual([])
})

test('no imports in a circle', () => {
  const graph = new Map<string, string[]>()
  for (const one of imports) {
    if (!one.typeOnly && one.to.startsWith('.')) graph.set(one.from, [...(graph.get(one.from) ?? []), resolved(one)])
  }
  const done = new Set<string>()
  const cycles: string[] = []
  const visit = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file)
    if (at >= 0) {
      cycles.push([...path.slice(at), file].map((name) => relative(src, name)).join(' -> '))
      return
    }
    if (done.has(file)) return
    for (const next of graph.get(file) ?? []) visit(next, [...path, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
  expect(cycles).toEqual([])
})

test('no file is longer than 500 lines', () => {
  const all = ['src', 'test', '.ci'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(root, folder, name)),
  )
  const long = all
    .filter((file) => /\.(ts|mjs|c|h|sh)$/.test(file) && !/fixtures|generated/.test(file) && statSync(file).isFile())
    .map((file) => [relative(root, file), readFileSync(file, 'utf8').split('\n').length - 1] as const)
    .filter(([, lines]) => lines > 500)
  expect(long).toEqual([])
})

test('files are named in kebab case, after what they do', () => {
  const odd = files
    .map((file) => relative(src, file))
    .filter((name) => !/^(?:[a-z0-9]+(?:-[a-z0-9]+)*\/)*[a-z0-9]+(?:-[a-z0-9]+)*(?:\.generated)?\.ts$/.test(name))
  const vague = files
    .map((file) => relative(src, file))
    .filter((name) => /(?:^|\/)(?:utils?|helpers?|common|misc|manager)\b/.test(name))
  expect([odd, vague]).toEqual([[], []])
})

test('the console is used nowhere', () => {
  expect(
    files.filter((file) => /\bconsole\.\w+\(/.test(readFileSync(file, 'utf8'))).map((file) => relative(src, file)),
  ).toEqual([])
})
