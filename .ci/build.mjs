// Builds dist/: the bundle, the native programs, the launcher. Called by setup.sh; safe to run at any time.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { build } from 'esbuild'

const root = new URL('..', import.meta.url).pathname
process.chdir(root)
mkdirSync('dist', { recursive: true })
const started = new Date()

// musl-gcc brings the C library's headers, not the kernel's.
const kernelHeaders = [
  '-idirafter',
  '/usr/include',
  '-idirafter',
  `/usr/include/${{ x64: 'x86_64', arm64: 'aarch64' }[process.arch] ?? process.arch}-linux-gnu`,
]
const programs = { tcompose: 'launcher', 'tcompose-shim': 'shim', 'tcompose-fs': 'fs' }
for (const [name, folder] of Object.entries(programs)) {
  const sources = readdirSync(`src/runtime/${folder}`)
    .filter((file) => file.endsWith('.c'))
    .map((file) => `src/runtime/${folder}/${file}`)
  if (sources.length === 0) continue
  // A running program is replaced by rename, never written over.
  execFileSync(
    'musl-gcc',
    [
      '-std=gnu11',
      '-static',
      '-Os',
      '-s',
      '-Wall',
      '-Wextra',
      '-Werror',
      ...kernelHeaders,
      '-o',
      `dist/.${name}.new`,
      ...sources,
    ],
    { stdio: 'inherit' },
  )
  renameSync(`dist/.${name}.new`, `dist/${name}`)
}

const old = new Set(readdirSync('dist').filter((file) => /\.(mjs|map)$/.test(file)))
const entries = { cli: 'src/cli/main.ts', index: 'src/index.ts' }
const result = await build({
  entryPoints: Object.fromEntries(Object.entries(entries).filter(([, path]) => existsSync(path))),
  outdir: 'dist',
  outExtension: { '.js': '.mjs' },
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  sourcemap: false,
  metafile: true,
  chunkNames: 'chunk-[hash]',
  // Packages in CommonJS inside an ES module bundle ask for these.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  logLevel: 'warning',
})
for (const file of Object.keys(result.metafile.outputs)) old.delete(file.slice('dist/'.length))
old.delete('main.mjs')
for (const file of old) rmSync(`dist/${file}`, { force: true })

writeFileSync(
  'dist/main.mjs',
  `import { enableCompileCache } from 'node:module'
if (Number(process.versions.node.split('.')[0]) < 24) {
  process.stderr.write('tcompose: Node 24 or newer is needed, this is ' + process.version + ' (' + process.execPath + ')\\n')
  process.exit(1)
}
enableCompileCache(import.meta.dirname + '/.compile-cache')
await import('./cli.mjs')
`,
)
rmSync('dist/.compile-cache', { recursive: true, force: true })
writeFileSync('dist/.built', '')
// Sources that changed while this ran must count as newer.
utimesSync('dist/.built', started, started)
