// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are variables of compose files
import { mkdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { projectFolder } from '../../support/compose-project.ts'

const WEB = 'services: {web: {image: "nginx:${TAG:-none}"}}'

test('the file is looked for upwards, with its override', async () => {
  using folder = projectFolder({ 'compose.yml': WEB, 'compose.override.yaml': 'services: {web: {tty: true}}' })
  mkdirSync(`${folder.directory}/a/b`, { recursive: true })
  const { project } = await folder.load({ cwd: `${folder.directory}/a/b` })
  expect(project).toMatchObject({ name: 'app', working_dir: folder.directory, services: { web: { tty: true } } })
  expect(project.compose_files).toEqual([
    `${folder.directory}/compose.yml`,
    `${folder.directory}/compose.override.yaml`,
  ])
})

test('of several files the first name wins, with a warning', async () => {
  using folder = projectFolder({ 'compose.yaml': WEB, 'docker-compose.yml': 'services: {other: {image: x}}' })
  const { project, warnings } = await folder.load()
  expect(Object.keys(project.services)).toEqual(['web'])
  expect(warnings.map((one) => one.message.split(':')[0])).toEqual([
    'Found multiple config files with supported names',
    `Using ${folder.directory}/compose.yaml`,
  ])
})

test('-f leaves overrides out, and its first directory is the project', async () => {
  using folder = projectFolder({
    'sub/compose.yaml': WEB,
    'sub/compose.override.yaml': 'services: {web: {tty: true}}',
    'sub/.env': 'TAG=sub',
    '.env': 'TAG=cwd',
  })
  const { project } = await folder.load({ files: ['sub/compose.yaml'] })
  expect(project).toMatchObject({
    name: 'sub',
    working_dir: `${folder.directory}/sub`,
    services: { web: { image: 'nginx:sub' } },
  })
  expect(project.services.web).not.toHaveProperty('tty')
})

test('-f - reads standard input', async () => {
  using folder = projectFolder({})
  const { project } = await folder.load({ files: ['-'], stdin: async () => WEB })
  expect(project).toMatchObject({ name: 'app', working_dir: folder.directory, compose_files: ['-'] })
})

test('shell goes before --env-file, and that replaces .env', async () => {
  using folder = projectFolder({
    'compose.yaml': WEB,
    '.env': 'TAG=dot',
    'a.env': 'TAG=a',
    'b.env': 'TAG=${TAG}b\nOTHER=${TAG}',
  })
  const image = async (options: object): Promise<string | undefined> =>
    (await folder.load(options)).project.services.web?.image
  expect(await image({})).toBe('nginx:dot')
  expect(await image({ envFiles: ['a.env', 'b.env'] })).toBe('nginx:ab')
  expect(await image({ envFiles: ['a.env'], env: { TAG: '' } })).toBe('nginx:none')
  expect(await image({ env: { COMPOSE_ENV_FILES: 'a.env' } })).toBe('nginx:a')
  expect(await image({ env: { COMPOSE_DISABLE_ENV_FILE: '1' } })).toBe('nginx:none')
})

test('.env may say which files, profiles and name', async () => {
  using folder = projectFolder({
    'a.yaml': 'services: {web: {image: x}, extra: {image: y, profiles: [more]}}',
    '.env': 'COMPOSE_FILE=a.yaml\nCOMPOSE_PROFILES=more\nCOMPOSE_PROJECT_NAME=fromenv',
  })
  const { project } = await folder.load()
  expect(project.name).toBe('fromenv')
  expect(Object.keys(project.services)).toEqual(['extra', 'web'])
})

test('the name: flag, variable, last file, directory', async () => {
  using folder = projectFolder({ 'a.yaml': `name: From.File\n${WEB}`, 'b.yaml': 'name: "x-${TAG}"' })
  const name = async (options: object): Promise<string> =>
    (await folder.load({ files: ['a.yaml'], ...options })).project.name
  expect(await name({})).toBe('fromfile')
  expect(await name({ files: ['a.yaml', 'b.yaml'], env: { TAG: '1' } })).toBe('x-1')
  expect(await name({ env: { COMPOSE_PROJECT_NAME: 'shell' } })).toBe('shell')
  expect(await name({ projectName: 'flag', env: { COMPOSE_PROJECT_NAME: 'shell' } })).toBe('flag')
  await expect(name({ projectName: 'No' })).rejects.toMatchObject({
    message: expect.stringMatching(/^invalid project name "No"/),
    hint: 'use no',
  })
})

test('without a file the error says what was looked for', async () => {
  using folder = projectFolder({})
  await expect(folder.load()).rejects.toMatchObject({
    code: 'NOT_FOUND',
    message: 'no configuration file provided: not found',
  })
})
