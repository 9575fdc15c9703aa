import { TcomposeError } from '../../base/errors.ts'
import { randomId } from '../../base/id.ts'
import type { ExecSpec, ProcessStreams } from '../../engine/containers/types.ts'
import type { Engine } from '../../engine/engine.ts'
import { integer } from '../exchange.ts'
import { badRequest } from '../http-error.ts'
import type { Routes } from '../router.ts'
import { DETACH_KEYS, parseDetachKeys } from '../wire/detach-keys.ts'
import { streamType } from '../wire/frames.ts'
import { bool, strings, text } from '../wire/read.ts'
import { bridge } from './streams.ts'

interface Exec {
  readonly id: string
  readonly containerId: string
  readonly spec: ExecSpec
  readonly wants: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean }
  readonly detachKeys: string
  streams: ProcessStreams | undefined
  started: boolean
  running: boolean
  exitCode: number | null
}

/** Ended ones that are still told about; a client asks right after the end. */
const KEPT = 1000

export interface Execs {
  readonly byId: Map<string, Exec>
  /** Ids of those of a container that run. */
  of(containerId: string): readonly string[]
}

export function createExecs(): Execs {
  const byId = new Map<string, Exec>()
  return {
    byId,
    of: (containerId) =>
      [...byId.values()].filter((one) => one.containerId === containerId && one.running).map(({ id }) => id),
  }
}

/** Processes started in containers through this server. They are known to it alone, as with dockerd's restart. */
export function execRoutes(engine: Engine, { byId: execs }: Execs): Routes {
  const get = (id: string): Exec => {
    const exec = execs.get(id)
    if (!exec) throw new TcomposeError('NOT_FOUND', `No such exec instance: ${id}`)
    return exec
  }
  return {
    'POST /containers/{id}/exec': async (request, response) => {
      const body = await request.json()
      const container = await engine.containers.get(request.params.id as string)
      const { status } = container.state
      if (status !== 'running' && status !== 'paused') {
        throw new TcomposeError('CONFLICT', `container ${container.id} is not running`)
      }
      if (status === 'paused') {
        throw new TcomposeError('CONFLICT', `container ${container.id} is paused, unpause the container before exec`)
      }
      // Refused while nothing has been started.
      parseDetachKeys(text(body, 'DetachKeys') ?? DETACH_KEYS)
      const command = strings(body, 'Cmd') ?? []
      if (command.length === 0) throw badRequest('No exec command specified')
      const env = strings(body, 'Env')
      const exec: Exec = {
        id: randomId(),
        containerId: container.id,
        spec: {
          command,
          tty: bool(body, 'Tty'),
          privileged: bool(body, 'Privileged'),
          stdin: bool(body, 'AttachStdin'),
          ...(env ? { env } : {}),
          ...(text(body, 'User') ? { user: text(body, 'User') } : {}),
          ...(text(body, 'WorkingDir') ? { workingDir: text(body, 'WorkingDir') } : {}),
        },
        wants: {
          stdin: bool(body, 'AttachStdin'),
          stdout: bool(body, 'AttachStdout'),
          stderr: bool(body, 'AttachStderr'),
        },
        detachKeys: text(body, 'DetachKeys') ?? DETACH_KEYS,
        streams: undefined,
        started: false,
        running: false,
        exitCode: null,
      }
      forgetOldest(execs)
      execs.set(exec.id, exec)
      response.json(201, { Id: exec.id })
    },
    'POST /exec/{id}/start': async (request, response) => {
      const exec = get(request.params.id as string)
      const body = await request.firstJson()
      const detach = bool(body, 'Detach')
      if (exec.started) throw new TcomposeError('CONFLICT', `Error: Exec command ${exec.id} has already run`)
      exec.started = true
      const tty = exec.spec.tty ?? false
      const streams = await engine.containers.exec(
        exec.containerId,
        detach ? { ...exec.spec, stdin: false } : exec.spec,
      )
      exec.streams = streams
      exec.running = true
      const over = streams.exit.then(
        ({ exitCode }) => {
          exec.running = false
          exec.exitCode = exitCode
        },
        () => {
          // Its shim was killed, and with it everything in the container.
          exec.running = false
          exec.exitCode = 137
        },
      )
      const size = body.ConsoleSize
      if (Array.isArray(size) && typeof size[0] === 'number' && size[0] > 0) {
        streams.resize({ rows: size[0], columns: Number(size[1]) })
      }
      if (detach) {
        streams.stdout.resume()
        streams.stderr.resume()
        return response.empty(200)
      }
      const connection = response.hijack(streamType(tty, request.version))
      const detachKeys = tty ? parseDetachKeys(exec.detachKeys) : []
      const end = await bridge(connection, streams, { ...exec.wants, tty, detachKeys, listenOn: true })
      if (end === 'over') await over
      connection.end()
    },
    'POST /exec/{id}/resize': async ({ params, query }, response) => {
      const exec = get(params.id as string)
      exec.streams?.resize({ columns: integer(query, 'w') ?? 0, rows: integer(query, 'h') ?? 0 })
      response.empty(200)
    },
    'GET /exec/{id}/json': async ({ params }, response) => {
      const exec = get(params.id as string)
      const [entrypoint = '', ...rest] = exec.spec.command
      response.json(200, {
        ID: exec.id,
        Running: exec.running,
        ExitCode: exec.exitCode,
        ProcessConfig: {
          tty: exec.spec.tty ?? false,
          entrypoint,
          arguments: rest,
          privileged: exec.spec.privileged ?? false,
          ...(exec.spec.user ? { user: exec.spec.user } : {}),
        },
        OpenStdin: exec.wants.stdin,
        OpenStderr: exec.wants.stderr,
        OpenStdout: exec.wants.stdout,
        CanRemove: exec.exitCode !== null,
        ContainerID: exec.containerId,
        DetachKeys: exec.detachKeys,
      })
    },
  }
}

function forgetOldest(execs: Map<string, Exec>): void {
  for (const [id, exec] of execs) {
    if (execs.size < KEPT) return
    if (!exec.running) execs.delete(id)
  }
}
