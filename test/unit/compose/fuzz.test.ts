// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are variables of compose files
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { stringify } from 'yaml'
import { isTcomposeError } from '../../../src/base/errors.ts'
import { formatProject } from '../../../src/compose/output.ts'
import { allAttributes } from '../../../src/compose/schema-attributes.ts'
import { projectFolder } from '../../support/compose-project.ts'

const numRuns = process.env.TCOMPOSE_FUZZ === 'long' ? 10_000 : Number(process.env.TCOMPOSE_FUZZ || 100)

/** Loads; anything that is thrown has to be an error for users. */
async function loadsOrExplains(files: Readonly<Record<string, string>>): Promise<void> {
  using folder = projectFolder(files)
  try {
    const { project } = await folder.load()
    formatProject(project, { format: 'json' })
    formatProject(project, { format: 'yaml' })
  } catch (error) {
    if (!isTcomposeError(error)) throw error
    expect(error.message).not.toBe('')
  }
}

const SAMPLE = `
name: app
x-base: &base
  restart: always
  environment: {A: "1", B: \${B:-x}}
services:
  web:
    <<: *base
    build: {context: ., args: [A=1]}
    ports: ["8080:80", "127.0.0.1:9000-9002:9000-9002/udp"]
    volumes: [./a:/a:ro, "data:/d", {type: tmpfs, target: /t, tmpfs: {size: 1m}}]
    depends_on: {db: {condition: service_healthy, restart: true}}
    command: sh -c "echo hi"
    healthcheck: {test: curl localhost, interval: 1m30s, retries: 3}
    deploy: {replicas: 2, resources: {limits: {cpus: "0.5", memory: 64m}}}
    extra_hosts: ["a=1.2.3.4"]
    ulimits: {nofile: {soft: 1, hard: 2}, nproc: 3}
  db:
    extends: {service: web}
    image: postgres
    depends_on: !reset []
    networks: {back: {aliases: [x]}}
    secrets: [key]
networks: {back: {ipam: {config: [{subnet: 10.0.0.0/24}]}}}
volumes: {data: {external: true}}
secrets: {key: {environment: KEY}}
`

const TOKENS = [
  ...'{}[]:-,&*!|>\'"#$%@`?\t\n \\~<0',
  '${',
  '${X:?e}',
  '<<: *base',
  '!reset',
  '!override',
  '&base',
  '*base',
  '---\n',
  'null',
  '1e999',
  '0x',
  '-1',
  '\u0000',
  'services',
  '__proto__:',
  'extends: web',
  'include: compose.yaml',
]

/** Cuts, doubles, swaps and inserts pieces of a file that is right. */
const mutated = fc
  .array(
    fc.record({
      at: fc.nat(SAMPLE.length),
      length: fc.nat(12),
      kind: fc.constantFrom('cut', 'insert', 'double', 'replace'),
      token: fc.constantFrom(...TOKENS),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((edits) =>
    edits.reduce((text, { at, length, kind, token }) => {
      const head = text.slice(0, at)
      const piece = text.slice(at, at + length)
      const tail = text.slice(at + length)
      if (kind === 'cut') return head + tail
      if (kind === 'insert') return head + token + piece + tail
      return kind === 'double' ? head + piece + piece + tail : head + token + tail
    }, SAMPLE),
  )

/** Any value under any attribute: what the schema forbids included. */
const anyAttributes = fc
  .array(
    fc.tuple(
      fc.constantFrom(...allAttributes()),
      fc.oneof(
        fc.jsonValue({ maxDepth: 3 }),
        fc.constantFrom('1', '64m', '1m', 'a:b', 'a=b', './x', 'service:s', '$X', '${X'),
      ),
    ),
    {
      minLength: 1,
      maxLength: 8,
    },
  )
  .map((entries) => {
    const root: Record<string, unknown> = {}
    for (const [pattern, value] of entries) {
      const steps = pattern
        .split('.')
        .map((step, index, all) =>
          step !== '*'
            ? step
            : ['services', 'networks', 'volumes', 'configs', 'secrets', 'models'].includes(all[index - 1] ?? '')
              ? 's'
              : '0',
        )
      let at: Record<string, unknown> = root
      for (const step of steps.slice(0, -1)) {
        const next = at[step]
        if (typeof next !== 'object' || next === null || Array.isArray(next)) at[step] = {}
        at = at[step] as Record<string, unknown>
      }
      at[steps.at(-1) as string] = value
    }
    return stringify(root)
  })

test('mutations of a real file load or are explained', { timeout: 600_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(mutated, async (text) => loadsOrExplains({ 'compose.yaml': text })),
    { numRuns },
  )
})

test('any values under any attributes load or are explained', { timeout: 600_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(anyAttributes, async (text) => loadsOrExplains({ 'compose.yaml': text })),
    { numRuns },
  )
})

test('two mutated files on top of each other load or are explained', { timeout: 600_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(mutated, mutated, async (base, over) =>
      loadsOrExplains({ 'compose.yaml': base, 'compose.override.yaml': over }),
    ),
    { numRuns },
  )
})

test('any text as .env loads or is explained', { timeout: 600_000 }, async () => {
  const line = fc.oneof(
    fc.string(),
    fc.constantFrom('A=1', 'B="x', "C='y", 'D=${A:?no}', 'export E', 'F: g', '#', '\\', '=', 'A="\\"'),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 8 }), async (lines) =>
      loadsOrExplains({ '.env': lines.join('\n'), 'compose.yaml': 'services: {s: {image: x, env_file: .env}}' }),
    ),
    { numRuns },
  )
})
