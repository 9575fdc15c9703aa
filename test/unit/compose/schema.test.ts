// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are variables of compose files
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../..', import.meta.url))

test('the compiled schema is the one of schemas/compose.schema.json', () => {
  expect(() =>
    execFileSync(process.execPath, ['.ci/generate-schema.mjs', '--check'], { cwd: root, stdio: 'pipe' }),
  ).not.toThrow()
})

test('the compiled schema needs nothing of ajv', () => {
  expect(readFileSync(new URL('src/compose/schema/validate.generated.js', `file://${root}/`), 'utf8')).not.toMatch(
    /require\(|from "ajv/,
  )
})

test('every attribute in the schema has a description', () => {
  const schema: unknown = JSON.parse(readFileSync(`${root}/schemas/compose.schema.json`, 'utf8'))
  const missing: string[] = []
  const visit = (node: unknown, path: string): void => {
    if (typeof node !== 'object' || node === null) return
    for (const [key, value] of Object.entries(node)) {
      if (key === 'properties') {
        for (const [name, attribute] of Object.entries(value as Record<string, { description?: string }>)) {
          if (!attribute.description) missing.push(`${path}/${name}`)
        }
      }
      visit(value, `${path}/${key}`)
    }
  }
  visit(schema, '')
  expect(missing).toEqual([])
})
