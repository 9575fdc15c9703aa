// Compiles schemas/compose.schema.json into a plain function, so that no load of a compose file ever runs ajv.
//   node .ci/generate-schema.mjs          writes src/compose/schema/validate.generated.js
//   node .ci/generate-schema.mjs --check  fails when that file is out of date
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import Ajv from 'ajv'
import standalone from 'ajv/dist/standalone/index.js'

const SOURCE = fileURLToPath(new URL('../schemas/compose.schema.json', import.meta.url))
const TARGET = fileURLToPath(new URL('../src/compose/schema/validate.generated.js', import.meta.url))

export function generate() {
  const schema = JSON.parse(readFileSync(SOURCE, 'utf8'))
  const ajv = new Ajv.default({
    allErrors: true,
    strict: false,
    // The structure counts, not the text for editors.
    code: { source: true, esm: true, lines: false, optimize: 1 },
    messages: false,
    inlineRefs: false,
  })
  const code = standalone.default(ajv, ajv.compile(stripDescriptions(schema)))
  // ajv's run-time parts that the code asks for: deep equality of items, and length in code points.
  return `// Made by .ci/generate-schema.mjs from schemas/compose.schema.json. Do not edit.\n// biome-ignore-all lint: generated\n${inlineRequires(code)}\n`
}

function stripDescriptions(value) {
  if (Array.isArray(value)) return value.map(stripDescriptions)
  if (typeof value !== 'object' || value === null) return value
  const isSchema = typeof value.description === 'string'
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !(isSchema && key === 'description') && key !== 'title' && key !== '$id')
      .map(([key, one]) => [key, stripDescriptions(one)]),
  )
}

const EQUAL = `(function equal(a, b) {
  if (a === b) return true
  if (!a || !b || typeof a !== 'object' || typeof b !== 'object' || Array.isArray(a) !== Array.isArray(b)) return a !== a && b !== b
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && equal(a[key], b[key]))
})`

function inlineRequires(code) {
  const out = code
    .replaceAll('require("ajv/dist/runtime/equal").default', EQUAL)
    .replaceAll('require("ajv/dist/runtime/ucs2length").default', '((text) => [...text].length)')
  if (out.includes('require(')) throw new Error(`the generated code requires ${/require\("[^"]*"\)/.exec(out)?.[0]}`)
  return out
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const code = generate()
  if (process.argv.includes('--check')) {
    if (readFileSync(TARGET, 'utf8') !== code) {
      process.stderr.write(
        'src/compose/schema/validate.generated.js is out of date: run node .ci/generate-schema.mjs\n',
      )
      process.exit(1)
    }
  } else writeFileSync(TARGET, code)
}
