// Answers what the checks of Compose's end-to-end scenarios need to know, from the engine's own state:
//   containers PROJECT | image-exists REF | docker ARGS...
// Exit code 64: not a verb that the scenarios use.
import { pipeline } from 'node:stream/promises'
import type { Container } from '../../src/engine/containers/types.ts'
import type { Engine } from '../../src/engine/engine.ts'
import { openEngine } from '../../src/engine/open.ts'
import { LABEL } from '../../src/project/labels.ts'
import { parseMount } from '../../src/project/short-syntax.ts'
import { formatTemplate } from '../../src/ui/template.ts'

const [verb, ...rest] = process.argv.slice(2)
const engine = await openEngine({ env: process.env })
let code = 0
try {
  code = await answer(verb, rest)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  code = 1
} finally {
  await engine[Symbol.asyncDispose]()
}
process.exit(code)

async function answer(name: string | undefined, args: readonly string[]): Promise<number> {
  switch (name) {
    case 'containers': {
      const found = await engine.containers.list({ labels: [`${LABEL.project}=${args[0]}`] })
      print(found.map(summary))
      return 0
    }
    case 'image-exists':
      return (await engine.images.find(args[0] as string)) ? 0 : 1
    case 'docker':
      return docker(args)
    default:
      return 64
  }
}

function print(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

function summary(container: Container) {
  return {
    ID: container.id,
    Name: container.name,
    State: container.state.status,
    StartedAt: container.state.startedAt,
    Labels: container.labels,
    Health: container.state.health?.status,
  }
}

async function docker(args: readonly string[]): Promise<number> {
  const [command, ...words] = args
  const names = words.filter((one) => !one.startsWith('-'))
  switch (command) {
    case 'inspect':
      return inspect(words)
    case 'exec':
      return exec(names[0] as string, words.slice(words.indexOf(names[0] as string) + 1))
    case 'run':
      return run(words)
    case 'rm':
      for (const one of names) await engine.containers.remove(one, { force: true })
      return 0
    case 'rmi':
      return removeImages(names)
    case 'image':
      if (words[0] === 'rm') return removeImages(names.slice(1))
      if (words[0] === 'inspect') return (await engine.images.find(names[1] as string)) ? 0 : 1
      return 64
    case 'tag':
      await engine.images.tag(names[0] as string, names[1] as string)
      return 0
    case 'volume':
      if (words[0] === 'create') await engine.volumes.create({ name: names[1] })
      else if (words[0] === 'rm') for (const one of names.slice(1)) await engine.volumes.remove(one).catch(() => {})
      else return 64
      return 0
    case 'ps': {
      const found = await engine.containers.list()
      process.stdout.write(found.map((one) => `${one.id}\n`).join(''))
      return 0
    }
    default:
      return 64
  }
}

async function removeImages(references: readonly string[]): Promise<number> {
  for (const one of references) await engine.images.remove(one, { force: true }).catch(() => {})
  return 0
}

async function inspect(words: readonly string[]): Promise<number> {
  const at = words.findIndex((one) => one === '-f' || one === '--format')
  const format = at < 0 ? undefined : words[at + 1]
  const names = words.filter((one, index) => !one.startsWith('-') && (at < 0 || index !== at + 1))
  for (const name of names) {
    const view = detail(await engine.containers.get(name))
    process.stdout.write(`${format === undefined ? JSON.stringify([view], null, 4) : formatTemplate(format, view)}\n`)
  }
  return 0
}

function detail(container: Container): Readonly<Record<string, unknown>> {
  const { spec } = container
  const networks = Object.fromEntries(
    container.endpoints.map((one) => [
      one.networkName,
      {
        NetworkID: one.networkId,
        IPAddress: one.ipv4,
        Gateway: one.ipv4Gateway,
        MacAddress: one.macAddress,
        Aliases: one.spec.aliases ?? [],
        IPAMConfig: { IPv4Address: one.spec.ipv4Address ?? '', IPv6Address: one.spec.ipv6Address ?? '' },
      },
    ]),
  )
  return {
    Id: container.id,
    Name: `/${container.name}`,
    Image: container.imageId,
    State: { Status: container.state.status, ExitCode: container.state.exitCode, StartedAt: container.state.startedAt },
    Config: { Labels: container.labels, Image: spec.image, Env: spec.env ?? [] },
    HostConfig: {
      IpcMode: spec.namespaces?.ipc || 'private',
      PidMode: spec.namespaces?.pid ?? '',
      RestartPolicy: { Name: spec.restart?.name ?? 'no' },
    },
    Mounts: container.mounts.map((one) => ({
      Type: one.kind,
      Name: one.name ?? '',
      Source: one.source,
      Destination: one.target,
      RW: !one.readOnly,
    })),
    NetworkSettings: { Networks: networks },
  }
}

async function exec(name: string, command: readonly string[]): Promise<number> {
  const streams = await engine.containers.exec(name, { command })
  streams.stdin.end()
  return forward(streams)
}

async function forward(streams: Awaited<ReturnType<Engine['containers']['attach']>>): Promise<number> {
  const output = [
    pipeline(streams.stdout, process.stdout, { end: false }),
    pipeline(streams.stderr, process.stderr, { end: false }),
  ]
  await Promise.all(output)
  return (await streams.exit).exitCode
}

/** `run --rm -v NAME:/path IMAGE COMMAND...` */
async function run(words: readonly string[]): Promise<number> {
  const mounts = []
  let index = 0
  for (; index < words.length; index++) {
    const word = words[index] as string
    if (word === '-v') mounts.push(parseMount(words[++index] as string, process.cwd()))
    else if (!word.startsWith('-')) break
  }
  const [image, ...command] = words.slice(index)
  const container = await engine.containers.create({
    name: `adapter-${process.pid}`,
    image: image as string,
    command: command.length > 0 ? command : undefined,
    mounts,
    network: { kind: 'none' },
  })
  try {
    const attaching = engine.containers.attach(container.id)
    await engine.containers.start(container.id)
    return await forward(await attaching)
  } finally {
    await engine.containers.remove(container.id, { force: true, volumes: true })
  }
}
