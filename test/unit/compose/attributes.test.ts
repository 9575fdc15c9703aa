import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { allAttributes } from '../../../src/compose/schema-attributes.ts'
import { checkBuilds, checkSupport, supportOf } from '../../../src/compose/support.ts'
import { PROOFS } from '../../support/attribute-proofs.ts'
import { loadText } from '../../support/compose-project.ts'

test('every attribute of the schema is effective, parsed for a reason, or refused with a message', () => {
  const attributes = allAttributes()
  expect(attributes.length).toBeGreaterThan(300)
  const without = attributes.filter((one) => supportOf(one) === undefined)
  expect(without).toEqual([])
  for (const one of attributes) {
    const support = supportOf(one)
    if (support?.kind === 'parsed') expect(support.reason, one).not.toBe('')
    if (support?.kind === 'refused') expect(support.message, one).not.toBe('')
  }
})

test('what is refused is an error that names it', async () => {
  const { project } = await loadText(`
services:
  web:
    image: nginx
    use_api_socket: true
    storage_opt: {size: 1G}
    runtime: kata
    build:
      context: .
      provenance: mode=max
      sbom: true
      platforms: [linux/amd64, linux/arm64]
    credential_spec: {file: spec.json}
    secrets: [key]
  plain:
    build: {context: ., provenance: false, sbom: "false", platforms: [linux/amd64]}
    runtime: runc
networks:
  default: {ipam: {options: {foo: bar}}}
secrets:
  key: {external: true}
`)
  expect(checkBuilds(project, ['web', 'plain'], (attribute) => attribute === 'sbom')).toHaveLength(2)
  expect(
    checkSupport(project)
      .errors.map((one) => one.message)
      .sort(),
  ).toEqual([
    'networks.default.ipam.options: IPAM options are not supported: the addresses are given out here',
    'services.web.build.platforms: building for several platforms at once is not supported: linux/amd64, linux/arm64',
    'services.web.build.provenance: provenance is not supported: images are made without attestations',
    'services.web.build.sbom: sbom is not supported: images are made without attestations',
    'services.web.credential_spec: credential_spec is not supported: it is for Windows containers',
    'services.web.runtime: unknown or invalid runtime name: kata',
    'services.web.storage_opt: storage_opt is not supported: containers share one file system, which has no size for each',
    'services.web.use_api_socket: use_api_socket is not supported yet: a container cannot be given the engine API',
    'unsupported external secret key',
  ])
})

test('what has no effect here is warned about', async () => {
  const { project } = await loadText(`
services:
  web:
    image: nginx
    cpu_count: 2
    secrets: [{source: key, mode: 0400}]
    build: {context: ., secrets: [{source: key, uid: "5"}]}
secrets:
  key: {file: ./key}
`)
  const { errors, warnings } = checkSupport(project)
  expect(errors).toEqual([])
  expect(warnings.map((one) => one.message)).toEqual([
    'services.web.cpu_count has no effect: it is for Windows containers',
    'services.web.build.secrets.0.uid has no effect: the Dockerfile says it: RUN --mount=type=secret,uid=…,gid=…,mode=…',
    'services.web: secrets `uid`, `gid` and `mode` are not supported for key, they will be ignored: it is a file of the host',
  ])
})

const ROOT = join(import.meta.dirname, '../../..')
const proofs = Object.entries(PROOFS).flatMap(([file, tests]) =>
  Object.entries(tests).flatMap(([name, patterns]) => patterns.map((pattern) => ({ file, name, pattern }))),
)

/** The test that names the attribute, or one above it. */
function proofOf(attribute: string): (typeof proofs)[number] | undefined {
  const parts = attribute.split('.')
  for (let length = parts.length; length > 0; length--) {
    const above = parts.slice(0, length).join('.')
    const found = proofs.find((one) => one.pattern === above)
    if (found) return found
  }
  return undefined
}

test('the tests that are said to prove an attribute exist, and so do the attributes', () => {
  const known = new Set(allAttributes())
  const texts = new Map<string, string>()
  for (const { file, name, pattern } of proofs) {
    expect(existsSync(join(ROOT, file)), file).toBe(true)
    const text = texts.get(file) ?? readFileSync(join(ROOT, file), 'utf8')
    texts.set(file, text)
    expect(
      [`'${name}'`, `"${name}"`].some((quoted) => text.includes(quoted)),
      `${file}: ${name}`,
    ).toBe(true)
    expect(known.has(pattern), pattern).toBe(true)
    expect(supportOf(pattern)?.kind, pattern).toBe('effective')
  }
})

/** With a test of its own, of one above it, or of those below that it consists of. */
const provenBy = (attribute: string): (typeof proofs)[number] | undefined =>
  proofOf(attribute) ?? proofs.find((one) => one.pattern.startsWith(`${attribute}.`))

test('what is said to take effect is proved by a test', () => {
  const effective = allAttributes().filter((one) => supportOf(one)?.kind === 'effective')
  expect(effective.filter((one) => !provenBy(one))).toEqual([])
})

test('the table of attributes is that of the schema', async () => {
  const rows = allAttributes().map((attribute) => {
    const support = supportOf(attribute)
    if (support?.kind === 'parsed') return `| \`${attribute}\` | parsed only | ${support.reason} |`
    if (support?.kind === 'refused') return `| \`${attribute}\` | refused | ${support.message} |`
    const proof = provenBy(attribute)
    return `| \`${attribute}\` | effective | ${proof ? `${proof.file.slice('test/'.length)}: ${proof.name}` : ''} |`
  })
  const text = [
    '# Attributes of the compose file',
    '',
    'Made by `test/unit/compose/attributes.test.ts` from the schema (`vitest -u` writes it anew). *Effective*: with the',
    'test that proves it. *Parsed only*: read, checked and printed, without effect. *Refused*: an error that says so.',
    '',
    '| Attribute | | |',
    '| --- | --- | --- |',
    ...rows,
    '',
  ].join('\n')
  await expect(text).toMatchFileSnapshot(join(ROOT, 'schemas/attributes.md'))
})
