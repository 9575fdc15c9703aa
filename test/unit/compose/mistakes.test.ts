// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are variables of compose files
import { expect, test } from 'vitest'
import type { TcomposeError } from '../../../src/base/errors.ts'
import { loadText } from '../../support/compose-project.ts'

/** `AT | MESSAGE | HINT` of each error of a file. */
async function mistakesIn(text: string): Promise<readonly string[]> {
  try {
    await loadText(text, { projectName: 'app' })
    return []
  } catch (error) {
    const first = error as TcomposeError
    expect(first.name, String(first)).toBe('TcomposeError')
    return [first, ...first.others].map((one) =>
      [one.at, one.message.replace(/\/\S*\/compose\.yaml/g, 'compose.yaml'), one.hint].filter(Boolean).join(' | '),
    )
  }
}

test('tabs as indentation: says that spaces are needed, and where', async () => {
  expect(await mistakesIn('services:\n  web:\n\timage: nginx\n')).toEqual([
    expect.stringMatching(
      /^compose\.yaml:3:1 \| failed to parse compose\.yaml: yaml: line 3: found a tab character that violates indentation \| indent with spaces$/,
    ),
  ])
})

test('a port with a typing mistake: says which and how ports are written', async () => {
  expect(await mistakesIn('services:\n  web:\n    image: nginx\n    ports:\n      - "8080:8o"\n')).toEqual([
    'compose.yaml:5:9 | invalid containerPort: 8o | write ports as HOST:CONTAINER, like "8080:80" or "127.0.0.1:8000-8010:8000-8010/udp"',
  ])
})

test('an unknown key: names the nearest real one', async () => {
  expect(await mistakesIn('services:\n  web:\n    image: nginx\n    enviroment:\n      A: b\n')).toEqual([
    "compose.yaml:4:5 | validating compose.yaml: services.web additional properties 'enviroment' not allowed | did you mean environment?",
  ])
})

test('a missing variable that is required: says how to set it', async () => {
  expect(await mistakesIn('services:\n  web:\n    image: nginx:${TAG:?which version}\n')).toEqual([
    'compose.yaml:3:5 | error while interpolating services.web.image: required variable TAG is missing a value: which version | set it in the shell, in .env, or with --env-file',
  ])
})

test('a dependency that is not there: names the nearest service', async () => {
  expect(
    await mistakesIn(
      'services:\n  web:\n    image: nginx\n    depends_on: [databse]\n  database:\n    image: postgres\n',
    ),
  ).toEqual([
    'compose.yaml:4:5 | service "web" depends on undefined service "databse": invalid compose project | did you mean database?',
  ])
})

test('an env file that is not there: says so with its path', async () => {
  const [message] = await mistakesIn('services:\n  web:\n    image: nginx\n    env_file: web.env\n')
  expect(message).toMatch(
    /^compose\.yaml:4:5 \| env file \/.*\/web\.env not found: .* \| create it, or write \{path: …, required: false\}$/,
  )
})

test('a key given twice: names both lines', async () => {
  expect(await mistakesIn('services:\n  web:\n    image: nginx\n    image: apache\n')).toEqual([
    'compose.yaml:4:5 | failed to parse compose.yaml: yaml: construct errors:\n  line 4: mapping key "image" already defined at line 3 | remove one of the two',
  ])
})

test('a volume that cannot be read: says how volumes are written', async () => {
  expect(await mistakesIn('services:\n  web:\n    image: nginx\n    volumes:\n      - ./a:/b:ro:z\n')).toEqual([
    'compose.yaml:5:9 | invalid spec: ./a:/b:ro:z: too many colons | write volumes as SOURCE:TARGET[:ro], like ./data:/data or name:/data',
  ])
})

test('services that wait for each other: shows the circle', async () => {
  expect(await mistakesIn('services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}\n')).toEqual([
    'compose.yaml:2:17 | dependency cycle detected: a -> b -> a | one of these services has to start without waiting for the next',
  ])
})

test('a network that is not declared: says how to declare it', async () => {
  expect(await mistakesIn('services:\n  web:\n    image: nginx\n    networks: [backend]\n')).toEqual([
    'compose.yaml:4:5 | service "web" refers to undefined network backend: invalid compose project | declare it at the top level: networks: {backend: {}}',
  ])
})

test('independent mistakes are all reported at once', async () => {
  expect(
    (
      await mistakesIn(
        'services:\n  a: {image: 1, prots: []}\n  b: {image: x, scale: many}\n  c: {networks: x}\nvolume: {}\n',
      )
    ).map((one) => one.split(' | ')[1]?.replace('validating compose.yaml: ', '')),
  ).toEqual([
    'error while interpolating services.b.scale: failed to cast to expected type: "many" is not a whole number',
  ])
  expect(
    (await mistakesIn('services:\n  a: {image: 1, prots: []}\n  c: {networks: x}\nvolume: {}\n'))
      .map((one) => one.split(' | ')[1]?.replace('validating compose.yaml: ', ''))
      .sort(),
  ).toEqual([
    " additional properties 'volume' not allowed",
    "services.a additional properties 'prots' not allowed",
    'services.a.image must be a string',
    'services.c.networks must be a list',
  ])
})
