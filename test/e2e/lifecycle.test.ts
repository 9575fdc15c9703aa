import { expect, test } from 'vitest'
import { layeredServices } from '../bench/projects.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import { createWorkspace } from '../support/workspace.ts'

const STAYS = `image: busybox
    command: ["sh", "-c", "trap 'exit 0' TERM; echo up; sleep 2147483647 & wait"]
`

test('ten services in three layers over two networks come up, are found by name, and go without a trace', async () => {
  await using work = await createWorkspace()
  work.write({ 'compose.yaml': layeredServices() })
  await work.ok(['up', '-d'])
  expect((await work.ok(['ps', '-q'])).stdout.trim().split('\n')).toHaveLength(10)
  expect((await work.ok(['exec', '-T', 'middle1', 'nslookup', 'edge1'])).stdout).toMatch(/Address/)
  expect((await work.tcompose(['exec', '-T', 'base1', 'nslookup', 'edge1'])).code).not.toBe(0)
  const again = await work.ok(['up', '-d'])
  expect(again.stderr).not.toMatch(/Recreat|Creat/)
  await work.ok(['down'])
  expect((await work.ok(['ls', '-aq'])).stdout).toBe('')
})

test('a published port answers on 127.0.0.1 and ::1, and is free after down', async () => {
  await using work = await createWorkspace()
  const port = await freePort()
  work.write({
    'compose.yaml': `services:
  web:
    image: busybox
    command: ["httpd", "-f", "-p", "80", "-h", "/www"]
    stop_grace_period: 0s
    ports: ["${port}:80"]
    volumes: ["./www:/www:ro"]
`,
    'www/index.html': 'hello from a bind mount\n',
  })
  await work.ok(['up', '-d'])
  for (const host of ['127.0.0.1', '[::1]']) {
    expect(await eventually(async () => await (await fetch(`http://${host}:${port}/`)).text())).toBe(
      'hello from a bind mount\n',
    )
  }
  expect((await work.ok(['port', 'web', '80'])).stdout).toContain(`:${port}`)
  await work.ok(['down'])
  await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow()
})

test.each([
  ['0', 0],
  ['7', 7],
])('a test run that ends with %s gives that exit code, its last line, and stops the rest', async (code, expected) => {
  await using work = await createWorkspace()
  work.write({
    'compose.yaml': `services:
  db:
    ${STAYS}    healthcheck: { test: "true", interval: 1s }
  tests:
    image: busybox
    command: ["sh", "-c", "echo the tests ran; exit ${code}"]
    depends_on: { db: { condition: service_healthy } }
`,
  })
  const result = await work.tcompose(['up', '--abort-on-container-exit', '--exit-code-from', 'tests'])
  expect(result.code).toBe(expected)
  expect(result.stdout).toMatch(/tests-1 +\| the tests ran\n/)
  expect((await work.ok(['ps', '-q'])).stdout).toBe('')
  await work.ok(['down'])
})

test('Ctrl-C stops the containers gracefully and gives 130 or 0', async () => {
  await using work = await createWorkspace()
  work.write({ 'compose.yaml': `services:\n  app:\n    ${STAYS}` })
  let pid = 0
  const ended = work.tcompose(['up'], {
    onSpawn: (one) => {
      pid = one
    },
  })
  await eventually(async () => (await work.ok(['ps', '-q'])).stdout !== '', 60_000)
  await eventually(async () => (await work.ok(['logs', 'app'])).stdout.includes('up'))
  process.kill(pid, 'SIGINT')
  const result = await ended
  expect([0, 130]).toContain(result.code)
  expect((await work.ok(['ps', '-a', '--format', 'json'])).stdout).toMatch(/"ExitCode":0/)
  await work.ok(['down'])
})

test('a dependency that fails to start says so, and what depends on it is not started', async () => {
  await using work = await createWorkspace()
  work.write({
    'compose.yaml': `services:
  init:
    image: busybox
    command: ["sh", "-c", "exit 3"]
  app:
    ${STAYS}    depends_on: { init: { condition: service_completed_successfully } }
`,
  })
  const result = await work.tcompose(['up', '-d'])
  expect(result.code).toBe(1)
  expect(result.stderr).toContain(`service "init" didn't complete successfully: exit 3`)
  expect((await work.ok(['ps', '-q'])).stdout).toBe('')
  await work.ok(['down'])
})

test('named volumes keep their content over down, and lose it with down -v', async () => {
  await using work = await createWorkspace()
  work.write({
    'compose.yaml': `services:
  app:
    ${STAYS}    volumes: ["data:/data"]
volumes:
  data:
`,
  })
  await work.ok(['up', '-d'])
  await work.ok(['exec', '-T', 'app', 'sh', '-c', 'echo kept > /data/file'])
  await work.ok(['down'])
  await work.ok(['up', '-d'])
  expect((await work.ok(['exec', '-T', 'app', 'cat', '/data/file'])).stdout).toBe('kept\n')
  await work.ok(['down', '-v'])
  await work.ok(['up', '-d'])
  expect((await work.tcompose(['exec', '-T', 'app', 'cat', '/data/file'])).code).toBe(1)
  await work.ok(['down', '-v'])
})

test('a changed service is made anew, an unchanged one is left running', async () => {
  await using work = await createWorkspace()
  const file = (value: string): string => `services:
  changed:
    ${STAYS}    environment: { VALUE: "${value}" }
  same:
    ${STAYS}`
  work.write({ 'compose.yaml': file('1') })
  await work.ok(['up', '-d'])
  const before = (await work.ok(['ps', '-q', 'same'])).stdout
  work.write({ 'compose.yaml': file('2') })
  const plan = await work.ok(['--dry-run', 'up', '-d'])
  expect(plan.stdout + plan.stderr).toMatch(/changed/)
  await work.ok(['up', '-d'])
  expect((await work.ok(['exec', '-T', 'changed', 'sh', '-c', 'echo $VALUE'])).stdout).toBe('2\n')
  expect((await work.ok(['ps', '-q', 'same'])).stdout).toBe(before)
  await work.ok(['down'])
})
