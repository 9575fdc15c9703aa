import { existsSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Container } from '../../../src/engine/containers/types.ts'
import { eventually } from '../../support/eventually.ts'
import { createWorkspace, type Workspace } from '../../support/workspace.ts'

/** What a test may look at: the running container from both sides. */
export interface Seen {
  /** What the probe printed inside the container, trimmed. */
  readonly inside: string
  readonly container: Container
  readonly work: Workspace
  /** `key: value` of /proc/PID/status. */
  status(key: string): string
  /** A control of its cgroup: the v1 file, or the v2 file where there is only the unified hierarchy. */
  control(controller: string, v1: string, v2: string): string
}

export interface AttributeCase {
  /** The name of the test. */
  readonly name: string
  /** The service in the compose file; `image: busybox` unless it has one, and a command that runs the probe and stays. */
  readonly service: Readonly<Record<string, unknown>>
  /** Shell script that runs as the container's command. */
  readonly probe?: string
  /** The whole output, a pattern in it, or a check of its own. */
  readonly seen: string | RegExp | ((seen: Seen) => void | Promise<void>)
}

export interface AttributeGroup {
  readonly cases: readonly AttributeCase[]
  /** The other sections of the compose file. */
  readonly file?: Readonly<Record<string, unknown>>
  readonly files?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
  /** Runs before `up`. */
  readonly prepare?: (work: Workspace) => Promise<void> | void
}

const END = 'the probe is done'

/** One project for the whole group, brought up once through dist/tcompose; one test for each case. */
export function attributeTests(group: AttributeGroup): void {
  let work: Workspace
  let containers: readonly Container[]
  const nameOf = (index: number): string => `s${index}`

  beforeAll(async () => {
    work = await createWorkspace()
    const services = Object.fromEntries(
      group.cases.map((one, index) => [
        nameOf(index),
        {
          image: 'busybox',
          stop_grace_period: '0s',
          ...(one.service.command || one.service.entrypoint
            ? {}
            : {
                command: [
                  'sh',
                  '-c',
                  `{ ${doubleDollars(one.probe ?? 'true')}\n} 2>&1; echo ${END}; exec sleep 2147483647`,
                ],
              }),
          ...one.service,
        },
      ]),
    )
    work.write({ 'compose.yaml': JSON.stringify({ services, ...group.file }), ...group.files })
    await group.prepare?.(work)
    await work.ok(['up', '-d'], { env: { ...group.env } })
    containers = await (await work.engine()).containers.list()
  }, 240_000)

  afterAll(async () => {
    await work?.[Symbol.asyncDispose]()
  }, 120_000)

  for (const [index, one] of group.cases.entries()) {
    test(one.name, async () => {
      const found = containers.find((c) => c.labels['com.docker.compose.service'] === nameOf(index))
      if (!found) throw new Error(`no container of ${nameOf(index)}`)
      const inside =
        one.service.command || one.service.entrypoint || one.service.logging ? '' : await readProbe(found.logPath)
      if (typeof one.seen === 'string') expect(inside).toBe(one.seen)
      else if (one.seen instanceof RegExp) expect(inside).toMatch(one.seen)
      else await one.seen(seenOf(found, inside, work))
    })
  }
}

function seenOf(container: Container, inside: string, work: Workspace): Seen {
  const { pid } = container.state
  return {
    inside,
    container,
    work,
    status: (key) => new RegExp(`^${key}:\\s*(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '',
    control: (controller, v1, v2) => readFileSync(controlPath(pid, controller, v1, v2), 'utf8').trim(),
  }
}

function controlPath(pid: number, controller: string, v1: string, v2: string): string {
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n')
  for (const line of lines) {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    if (controllers.split(',').includes(controller)) return `/sys/fs/cgroup/${controller}${path}/${v1}`
  }
  const unified = lines.find((line) => line.startsWith('0::'))?.slice(3) ?? ''
  return `/sys/fs/cgroup${unified}/${v2}`
}

/** What the log says a container has printed until now, both streams. */
export function printed(logPath: string): string {
  if (!existsSync(logPath)) return ''
  return readFileSync(logPath, 'utf8')
    .split('\n')
    .filter((line) => line.endsWith('}'))
    .map((line) => (JSON.parse(line) as { readonly log: string }).log)
    .join('')
    .replaceAll('\r\n', '\n')
}

function readProbe(logPath: string): Promise<string> {
  return eventually(() => {
    const text = printed(logPath)
    if (!text.includes(END)) throw new Error(`the probe is not done: ${text}`)
    return text.slice(0, text.indexOf(END)).trim()
  }, 60_000)
}

/** `$` is the compose file's own sign. */
function doubleDollars(script: string): string {
  return script.replaceAll('$', '$$$$')
}
