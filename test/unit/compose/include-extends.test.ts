// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are variables of compose files
import { expect, test } from 'vitest'
import { projectFolder } from '../../support/compose-project.ts'

test('an included project has its own directory and env file, under ours', async () => {
  using folder = projectFolder({
    'compose.yaml': 'include: [sub/compose.yaml]\nservices: {web: {image: "x:${A:-none}"}}',
    'sub/compose.yaml': 'services: {db: {build: ., image: "y:$A$B", volumes: ["./d:/d"], environment: [A]}}',
    'sub/.env': 'A=sub\nB=sub',
  })
  const plain = (await folder.load()).project
  expect(plain.services.web?.image).toBe('x:none')
  expect(plain.services.db).toMatchObject({
    image: 'y:subsub',
    environment: { A: 'sub' },
    build: { context: `${folder.directory}/sub` },
  })
  expect(plain.services.db?.volumes?.[0]?.source).toBe(`${folder.directory}/sub/d`)
  expect((await folder.load({ env: { A: 'ours' } })).project.services.db?.image).toBe('y:ourssub')
})

test('what both declare is merged, and ours wins', async () => {
  using folder = projectFolder({
    'compose.yaml': 'include: [other.yaml]\nservices: {web: {environment: {A: ours}, ports: !override ["1:1"]}}',
    'other.yaml': 'services: {web: {image: x, environment: {A: theirs, B: theirs}, ports: ["2:2"]}}',
  })
  const { project } = await folder.load()
  expect(project.services.web).toMatchObject({ image: 'x', environment: { A: 'ours', B: 'theirs' } })
  expect(project.services.web?.ports?.map((port) => port.published)).toEqual(['1'])
})

test('includes in a circle end in an error that shows it', async () => {
  using folder = projectFolder({ 'compose.yaml': 'include: [b.yaml]', 'b.yaml': 'include: [compose.yaml]' })
  await expect(folder.load()).rejects.toThrow(
    /^include cycle detected:\n.*compose\.yaml\n include .*b\.yaml\n include .*compose\.yaml$/,
  )
})

test.each(['oci://registry/app:1', 'https://github.com/a/b.git', 'git@github.com:a/b.git'])(
  'including %s is refused by name',
  async (path) => {
    using folder = projectFolder({ 'compose.yaml': `include: ["${path}"]` })
    await expect(folder.load()).rejects.toMatchObject({ code: 'UNSUPPORTED', message: expect.stringContaining(path) })
  },
)

test("a chain of extends over files keeps each file's directory", async () => {
  using folder = projectFolder({
    'compose.yaml': 'services: {web: {extends: {file: a/a.yaml, service: mid}, environment: {C: c}}}',
    'a/a.yaml':
      'services: {mid: {extends: {file: ../b/b.yaml, service: base}, environment: {B: b}, volumes: ["./v:/a"]}}',
    'b/b.yaml': 'services: {base: {image: x, build: ., environment: {A: a}, volumes: ["./v:/b"]}}',
  })
  const service = (await folder.load()).project.services.web
  expect(service).toMatchObject({
    image: 'x',
    environment: { A: 'a', B: 'b', C: 'c' },
    build: { context: `${folder.directory}/b` },
  })
  expect(service?.volumes?.map((one) => one.source)).toEqual([`${folder.directory}/b/v`, `${folder.directory}/a/v`])
})

test('extends in a circle ends in an error that shows it', async () => {
  using folder = projectFolder({ 'compose.yaml': 'services:\n  a: {extends: b}\n  b: {extends: {service: a}}' })
  await expect(folder.load()).rejects.toThrow(
    /^Circular reference:\n {2}a in .*\n {2}extends b in .*\n {2}extends a in /,
  )
})

test('a service that cannot be extended is named, with the nearest', async () => {
  using folder = projectFolder({ 'compose.yaml': 'services: {a: {extends: bse}, base: {image: x}}' })
  await expect(folder.load()).rejects.toMatchObject({
    message: expect.stringContaining('service "bse" not found'),
    hint: 'did you mean base?',
  })
})
