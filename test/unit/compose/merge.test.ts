// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are variables of compose files
import { expect, test } from 'vitest'
import type { LoadOptions, Service } from '../../../src/compose/types.ts'
import { projectFolder } from '../../support/compose-project.ts'

/** The service `s` of two files, each given as the inside of that service. */
async function merged(base: string, over: string, options: Partial<LoadOptions> = {}): Promise<Service> {
  const file = (inside: string): string => `services:\n  s: {image: x, ${inside}}\n`
  using folder = projectFolder({ 'a.yaml': file(base), 'b.yaml': file(over) })
  const { project } = await folder.load({ files: ['a.yaml', 'b.yaml'], noConsistency: true, ...options })
  return project.services.s as Service
}

test.each<[string, string, Partial<Service>]>([
  ['command: [a, b]', 'command: c', { command: ['c'] }],
  ['entrypoint: a', 'entrypoint: []', { entrypoint: [] }],
  ['environment: {A: 1, B: 2}', 'environment: [B=3, C]', { environment: { A: '1', B: '3', C: null } }],
  ['labels: [a=1]', 'labels: {a: 2, b: null}', { labels: { a: '2', b: '' } }],
  ['dns: 1.1.1.1', 'dns: [1.1.1.1, 8.8.8.8]', { dns: ['1.1.1.1', '8.8.8.8'] }],
  ['cap_add: [A, B]', 'cap_add: [B, C]', { cap_add: ['A', 'B', 'C'] }],
  ['security_opt: [a]', 'security_opt: [b]', { security_opt: ['a', 'b'] }],
  ['expose: [80]', 'expose: ["80", "81"]', { expose: ['80', '81'] }],
  [
    'depends_on: [a]',
    'depends_on: {a: {condition: service_healthy}, b: {condition: service_started}}',
    {
      depends_on: {
        a: { condition: 'service_healthy', required: true },
        b: { condition: 'service_started', required: true },
      },
    },
  ],
  [
    'logging: {driver: local, options: {a: 1}}',
    'logging: {options: {b: 2}}',
    { logging: { driver: 'local', options: { a: '1', b: '2' } } },
  ],
  ['logging: {driver: local, options: {a: 1}}', 'logging: {driver: none}', { logging: { driver: 'none' } }],
  ['ulimits: {nofile: 1}', 'ulimits: {nofile: {soft: 2, hard: 3}}', { ulimits: { nofile: { soft: 2, hard: 3 } } }],
  ['networks: [a]', 'networks: {a: {aliases: [x]}, b: null}', { networks: { a: { aliases: ['x'] }, b: null } }],
  ['extra_hosts: ["a:1.1.1.1"]', 'extra_hosts: {b: 2.2.2.2}', { extra_hosts: ['a=1.1.1.1', 'b=2.2.2.2'] }],
  [
    'healthcheck: {test: [CMD, a], retries: 2}',
    'healthcheck: {test: b}',
    { healthcheck: { test: ['CMD-SHELL', 'b'], retries: 2 } },
  ],
  ['hostname: a', 'hostname: null', { hostname: 'a' }],
  ['ports: ["80:80"]', 'ports: !reset null', {}],
  ['cap_add: [A]', 'cap_add: !override [B]', { cap_add: ['B'] }],
])('%s + %s', async (base, over, expected) => {
  const { image, command, entrypoint, networks, ports, ...rest } = await merged(base, over)
  const got: Partial<Service> = {
    ...rest,
    ...(command ? { command } : {}),
    ...(entrypoint ? { entrypoint } : {}),
    ...(ports ? { ports } : {}),
  }
  expect({ ...got, ...(networks && !('default' in networks) ? { networks } : {}) }).toEqual(expected)
})

test('ports are one when host, published, target and protocol are the same', async () => {
  const { ports } = await merged(
    'ports: ["80-81:80-81"]',
    'ports: ["81:81", "9000:80", {target: 80, published: 80, mode: host}]',
  )
  expect(ports?.map((port) => `${port.published}:${port.target}/${port.mode}`)).toEqual([
    '80:80/host',
    '81:81/ingress',
    '9000:80/ingress',
  ])
})

test('volumes and devices are one when their target is the same, and keep their place', async () => {
  const service = await merged(
    'volumes: ["one:/x", "two:/y"], devices: ["/dev/a:/dev/x"]',
    'volumes: ["three:/x"], devices: ["/dev/b:/dev/x:r"]',
  )
  expect(service.volumes?.map((one) => `${one.source}:${one.target}`)).toEqual(['three:/x', 'two:/y'])
  expect(service.devices).toEqual([{ source: '/dev/b', target: '/dev/x', permissions: 'r' }])
})

test('a list on top of a map is refused with the way out', async () => {
  await expect(merged('deploy: {replicas: 1}', 'deploy: [1]')).rejects.toMatchObject({
    message: 'cannot override services.s.deploy',
    hint: 'it is a mapping in the file before and a list here; !override replaces it',
  })
})

test('documents of one file merge like files', async () => {
  using folder = projectFolder({
    'compose.yaml': 'services: {a: {image: x}}\n---\nservices: {a: {image: y, tty: true}}\n',
  })
  const { project } = await folder.load()
  expect(project.services.a).toMatchObject({ image: 'y', tty: true })
})
