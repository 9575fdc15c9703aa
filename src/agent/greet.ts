import { connect, type Socket } from 'node:net'
import type { EnginePaths } from '../engine/state/paths.ts'
import { firstLine, type Greeting } from './protocol.ts'

const GREETING_TIMEOUT_MS = 10_000

export interface Running {
  readonly socket: Socket
  readonly greeting: Greeting
}

/** Connects to an agent and reads who it is; undefined when there is none, or it is just ending. */
export function greet(paths: EnginePaths): Promise<Running | undefined> {
  return new Promise((resolve) => {
    const socket = connect(paths.agentSocket)
    let text = ''
    const give = (running?: Running): void => {
      clearTimeout(timer)
      if (!running) socket.destroy()
      resolve(running)
    }
    const timer = setTimeout(() => give(), GREETING_TIMEOUT_MS)
    socket.on('error', () => give())
    socket.on('close', () => give())
    socket.on('data', (chunk) => {
      text += chunk.toString()
      const line = firstLine(text)
      if (line !== undefined) give({ socket, greeting: JSON.parse(line) as Greeting })
    })
  })
}
