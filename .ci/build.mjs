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

const old = new Set(readdirSync('dist').filter((file) => /\.(mjs|cjs|map)$/.test(file)))
const common = {
  bundle: true,
  platform: 'node',
  target: 'node24',
  minify: true,
  legalComments: 'none',
  logLevel: 'warning',
  metafile: true,
}
const written = []
const bundle = async (options) => {
  const { metafile } = await build({ ...common, ...options })
  for (const file of Object.keys(metafile.outputs)) written.push(file.slice('dist/'.length))
}

// Libraries that a short command never loads stand beside the program, which is then a third of the size.
const apart = ['undici', 'yaml', 'listr2', 'chokidar', '@dagrejs/dagre']
const fileOf = (name) => `lib-${name.replace(/^.*\//, '')}.cjs`
for (const name of apart) {
  await bundle({
    stdin: { contents: `module.exports = require(${JSON.stringify(name)})`, resolveDir: root },
    outfile: `dist/${fileOf(name)}`,
    format: 'cjs',
  })
}
const besides = {
  name: 'besides',
  setup({ onResolve }) {
    onResolve({ filter: new RegExp(`^(${apart.join('|')})$`) }, ({ path }) => ({
      path: `./${fileOf(path)}`,
      external: true,
    }))
  },
}

// One file in CommonJS: what a verb imports when it needs it is run then, and is not looked for on the disk. As ES
// modules in pieces, `exec` read some sixty files, and finding and linking them took a third of its time.
await bundle({
  entryPoints: ['src/cli/main.ts'],
  outfile: 'dist/cli.cjs',
  format: 'cjs',
  plugins: [besides],
  define: {
    'import.meta.dirname': '__dirname',
    'import.meta.filename': '__filename',
    'import.meta.url': '__moduleUrl',
  },
  banner: { js: "const __moduleUrl = 'file://' + __filename;" },
})

if (existsSync('src/index.ts')) {
  await bundle({
    entryPoints: { index: 'src/index.ts' },
    outdir: 'dist',
    outExtension: { '.js': '.mjs' },
    splitting: true,
    format: 'esm',
    chunkNames: 'chunk-[hash]',
    // Packages in CommonJS inside an ES module bundle ask for these.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  })
}

writeFileSync(
  'dist/main.cjs',
  `if (Number(process.versions.node.split('.')[0]) < 24) {
  process.stderr.write('tcompose: Node 24 or newer is needed, this is ' + process.version + ' (' + process.execPath + ')\\n')
  process.exit(1)
}
require('node:module').enableCompileCache(__dirname + '/.compile-cache')
require('./cli.cjs')
`,
)
for (const file of [...written, 'main.cjs']) old.delete(file)
for (const file of old) rmSync(`dist/${file}`, { force: true })
rmSync('dist/.compile-cache', { recursive: true, force: true })
writeFileSync('dist/.built', '')
// Sources that changed while this ran must count as newer.
utimesSync('dist/.built', started, started)
