// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are variables of compose files
import { expect, test } from 'vitest'
import { networkHash, serviceHash, volumeHash } from '../../../src/compose/hash.ts'
import { formatProject } from '../../../src/compose/output.ts'
import { loadText, projectFolder } from '../../support/compose-project.ts'

test('a service gets the default network, names carry the project', async () => {
  const { project } = await loadText(
    'services: {a: {image: x, volumes: ["data:/v"]}}\nvolumes: {data: , unused: }\nnetworks: {unused: }',
    { projectName: 'p' },
  )
  expect(project.services.a?.networks).toEqual({ default: null })
  expect(project.networks).toEqual({ default: { name: 'p_default' } })
  expect(project.volumes).toEqual({ data: { name: 'p_data' } })
})

test('links, volumes_from and shared namespaces are dependencies', async () => {
  const { project } = await loadText(
    'services:\n  a: {image: x, links: ["b:c"], volumes_from: ["c:ro"], network_mode: "service:d"}\n  b: {image: x}\n  c: {image: x}\n  d: {image: x}',
  )
  expect(project.services.a?.depends_on).toEqual({
    b: { condition: 'service_started', required: true, restart: true },
    c: { condition: 'service_started', required: true },
    d: { condition: 'service_started', required: true, restart: true },
  })
})

const PROFILES =
  'services:\n  a: {image: x}\n  b: {image: x, profiles: [p], depends_on: [c]}\n  c: {image: x, profiles: [p]}\n  d: {image: x, profiles: [q], depends_on: {b: {condition: service_started, required: false}}}'

test('profiles choose the services; the others are kept as disabled', async () => {
  const names = async (options: object): Promise<readonly string[]> =>
    Object.keys((await loadText(PROFILES, options)).project.services)
  expect(await names({})).toEqual(['a'])
  expect(await names({ profiles: ['p'] })).toEqual(['a', 'b', 'c'])
  expect(await names({ profiles: ['*'] })).toEqual(['a', 'b', 'c', 'd'])
  expect(await names({ services: ['b'] })).toEqual(['b', 'c'])
  expect(await names({ services: ['b'], noDeps: true })).toEqual(['b'])
  expect(await names({ services: ['b'], keepOthers: true })).toEqual(['a', 'b', 'c'])
  expect(await names({ services: ['d'] })).toEqual(['d'])
})

test('a service that is not there is named, with the nearest', async () => {
  await expect(loadText('services: {database: {image: x}}', { services: ['databse'] })).rejects.toMatchObject({
    code: 'NOT_FOUND',
    message: 'no such service: databse',
    hint: 'did you mean database?',
  })
})

test('env files fold into the environment, which wins; those of services left out stay unread', async () => {
  using folder = projectFolder({
    'compose.yaml':
      'services:\n  a: {image: x, env_file: [one.env, {path: no.env, required: false}, two.env], environment: {B: own, D: }}\n  b: {image: x, env_file: missing.env, profiles: [p]}',
    'one.env': 'A=1\nB=1\nC=1',
    'two.env': 'C=${C}2\nE=$OUT',
  })
  const { project } = await folder.load({ env: { OUT: 'out' } })
  expect(project.services.a?.environment).toEqual({ A: '1', B: 'own', C: '12', D: null, E: 'out' })
  expect(project.services.a).not.toHaveProperty('env_file')
})

test('unset variables, the old version and numbers that are text are warnings', async () => {
  const { warnings } = await loadText('version: "3"\nservices: {a: {image: "x$NO", init: "yes"}}')
  expect(warnings.map((one) => one.message.replace(/^\/\S*: /, ''))).toEqual([
    'The "NO" variable is not set. Defaulting to a blank string.',
    'services.a.init: "yes" for boolean is not supported by YAML 1.2, please use `true`',
    'the attribute `version` is obsolete, it will be ignored, please remove it to avoid potential confusion',
  ])
})

test('the variables of a file are listed with what they fall back to', async () => {
  const { variables } = await loadText(
    'services: {a: {image: "${A:-x${B}}", hostname: "${C?no}", domainname: "${D:+alt}"}}',
    { env: { C: 'c' } },
  )
  expect(variables).toEqual([
    { name: 'A', required: false, default: 'x${B}', alternate: '' },
    { name: 'B', required: false, default: '', alternate: '' },
    { name: 'C', required: true, default: '', alternate: '' },
    { name: 'D', required: false, default: '', alternate: 'alt' },
  ])
})

test('types of the model: sizes in bytes, durations of Go, words of commands, octal modes', async () => {
  const { project } = await loadText(`
services:
  a:
    image: x
    command: sh -c "echo 'a b'" c\\ d
    mem_limit: 1.5g
    shm_size: 64
    cpus: "0.5"
    stop_grace_period: 90s
    environment: {N: 1.50, O: 010, T: true, Z: }
    configs: [{source: c, mode: 0440}]
    gpus: all
    ports: ["127.0.0.1::53/udp"]
configs: {c: {content: x}}`)
  expect(project.services.a).toMatchObject({
    command: ['sh', '-c', "echo 'a b'", 'c d'],
    mem_limit: '1610612736',
    shm_size: '64',
    cpus: 0.5,
    stop_grace_period: '1m30s',
    environment: { N: '1.5', O: '8', T: 'true', Z: null },
    configs: [{ source: 'c', mode: '0440' }],
    gpus: [{ count: -1 }],
    ports: [{ host_ip: '127.0.0.1', target: 53, protocol: 'udp', mode: 'ingress' }],
  })
})

test('printed and read again, the project is the same', async () => {
  const text =
    'name: p\nx-a: {b: "$$c"}\nservices: {a: {image: x, command: echo $$HOME, ports: ["80:80"], volumes: ["./d:/d"], healthcheck: {test: "true"}}}'
  const { project } = await loadText(text)
  const again = await loadText(formatProject(project, { format: 'yaml' }))
  expect(again.project.services).toEqual(project.services)
  expect(formatProject(again.project, { format: 'json' })).toBe(formatProject(project, { format: 'json' }))
  expect(formatProject(project, { format: 'yaml' })).toMatch(
    /^name: p\nservices:\n {2}a:\n {4}command:\n {6}- echo\n {6}- \$\$HOME\n/,
  )
})

test('--no-interpolate leaves variables as they are', async () => {
  const { project } = await loadText('services: {a: {image: "x:${TAG?}", ports: ["${P}:80"], cpus: "${C}"}}', {
    noInterpolate: true,
  })
  expect(project.services.a).toMatchObject({ image: 'x:${TAG?}', ports: ['${P}:80'], cpus: '${C}' })
})

test('the hash of a service changes with what makes a container, and with nothing else', async () => {
  const hash = async (inside: string): Promise<string> =>
    serviceHash(
      (await loadText(`services: {a: {image: x, ${inside}}, b: {image: y}}`, { projectName: 'p' })).project,
      'a',
    )
  const base = await hash('tty: false')
  for (const same of ['scale: 2', 'build: .', 'pull_policy: always', 'depends_on: [b]'])
    expect(await hash(same), same).toBe(base)
  for (const other of ['tty: true', 'labels: {a: b}', 'environment: {A: b}', 'healthcheck: {test: x}', 'command: x'])
    expect(await hash(other), other).not.toBe(base)
  expect(await hash('environment: {A: 1, B: 2}')).toBe(await hash('environment: [B=2, A=1]'))
})

test('hashes of networks and volumes change with their definition', async () => {
  const { project } = await loadText(
    'services: {a: {image: x, networks: [n, m], volumes: ["one:/v", "two:/w"]}}\nnetworks: {n: {internal: true}, m: }\nvolumes: {one: {labels: [a]}, two: }',
  )
  expect(networkHash(project, 'n')).not.toBe(networkHash(project, 'm'))
  expect(volumeHash(project, 'one')).not.toBe(volumeHash(project, 'two'))
})

test('YAML is printed in the order of Compose; without interpolation by name', async () => {
  const text = 'services: {a: {image: x, ports: ["${PORT:-8080}:80"], build: {dockerfile: D, context: .}}}'
  const { project } = await loadText(text, { projectName: 'p' })
  expect(formatProject(project, { format: 'yaml' })).toContain(
    '\n    ports:\n      - mode: ingress\n        target: 80\n        published: "8080"\n        protocol: tcp\nnetworks:\n  default:\n    name: p_default',
  )
  const raw = await loadText(text, { projectName: 'p', noInterpolate: true })
  expect(formatProject(raw.project, { format: 'yaml', escapeDollars: false })).toMatch(
    /^name: p\nnetworks:\n {2}default:\n {4}name: p_default\nservices:\n {2}a:\n {4}build:\n {6}context: .*\n {6}dockerfile: D\n {4}image: x\n {4}networks:\n {6}default: null\n {4}ports:\n {6}- \$\{PORT:-8080\}:80$/,
  )
})
