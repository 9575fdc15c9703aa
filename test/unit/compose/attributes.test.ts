import { expect, test } from 'vitest'
import { allAttributes } from '../../../src/compose/schema-attributes.ts'
import { checkSupport, supportOf } from '../../../src/compose/support.ts'
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
    credential_spec: {file: spec.json}
    secrets: [key]
secrets:
  key: {external: true}
`)
  expect(
    checkSupport(project)
      .errors.map((one) => one.message)
      .sort(),
  ).toEqual([
    'services.web.credential_spec: credential_spec is not supported: it is for Windows containers',
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
secrets:
  key: {file: ./key}
`)
  const { errors, warnings } = checkSupport(project)
  expect(errors).toEqual([])
  expect(warnings.map((one) => one.message)).toEqual([
    'services.web.cpu_count has no effect: it is for Windows containers',
    'services.web: secrets `uid`, `gid` and `mode` are not supported for key, they will be ignored: it is a file of the host',
  ])
})
