import { readFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { ContainerSpec } from '../../../src/engine/containers/spec.ts'
import type { Container, ExecSpec, ExitStatus } from '../../../src/engine/containers/types.ts'
import type { Engine } from '../../../src/engine/engine.ts'
import { eventually } from '../../support/eventually.ts'

export interface Ran extends ExitStatus {
  readonly stdout: string
  readonly stderr: string
}

let count = 0

/** A container of busybox without network; `script` is run by sh. */
export function specOf(script: string, changes: Partial<ContainerSpec> = {}): ContainerSpec {
  return {
    name: `c${process.pid}-${++count}`,
    image: 'busybox:latest',
    command: ['sh', '-c', script],
    network: { kind: 'none' },
    stopTimeoutSeconds: 1,
    ...changes,
  }
}

/** Makes, attaches, starts and waits; the container is left as it is. */
export async function runContainer(
  engine: Engine,
  script: string,
  changes: Partial<ContainerSpec> = {},
): Promise<Ran & { readonly id: string }> {
  const { id } = await engine.containers.create(specOf(script, changes))
  return { id, ...(await startAttached(engine, id)) }
}

/** Starts a container and collects everything it prints until it ends. */
export async function startAttached(engine: Engine, id: string): Promise<Ran> {
  const streams = await engine.containers.attach(id)
  const output = Promise.all([text(streams.stdout), text(streams.stderr)])
  output.catch(() => {})
  try {
    await engine.containers.start(id)
  } catch (error) {
    streams.detach()
    throw error
  }
  streams.stdin.end()
  const exit = await streams.exit
  const [stdout, stderr] = await output
  return { ...exit, stdout, stderr }
}

/** A container that stays up until it is stopped. */
export async function startSleeper(engine: Engine, changes: Partial<ContainerSpec> = {}): Promise<Container> {
  const { id } = await engine.containers.create(specOf('trap "exit 0" TERM; while :; do sleep 0.1; done', changes))
  const container = await engine.containers.start(id)
  await untilTrapped(container)
  return container
}

const TERM_BIT = 1n << 14n

/** Settles when the first process catches SIGTERM: before its `trap` has run, a pid 1 ignores it. */
export async function untilTrapped(container: Container): Promise<void> {
  await eventually(() => {
    const status = readFileSync(`/proc/${container.state.pid}/status`, 'latin1')
    return (BigInt(`0x${/^SigCgt:\s+(\S+)/m.exec(status)?.[1]}`) & TERM_BIT) !== 0n
  }, 60_000)
}

export async function execIn(
  engine: Engine,
  id: string,
  command: readonly string[],
  spec: Partial<ExecSpec> = {},
): Promise<Ran> {
  const streams = await engine.containers.exec(id, { command, ...spec })
  const output = Promise.all([text(streams.stdout), text(streams.stderr)])
  const exit = await streams.exit
  const [stdout, stderr] = await output
  return { ...exit, stdout, stderr }
}

export async function collect(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
