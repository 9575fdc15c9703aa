import { rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { type Greeting, QUIT } from './protocol.ts'

export interface AgentSocket extends AsyncDisposable {
  /** Clients that want the agent to stay. */
  readonly clients: number
}

/**
 * Listens on the agent's socket. The caller holds the agent's lock, so whatever lies at `path` is a leftover.
 * @param onQuit a client of another build asks the agent to make room
 */
export async function listenAgentSocket(
  path: string,
  greeting: Greeting,
  handlers: { readonly onQuit: () => void; readonly onClientsChange: () => void },
): Promise<AgentSocket> {
  const clients = new Set<Socket>()
  const server = createServer((socket) => {
    clients.add(socket)
    let text = ''
    socket.on('error', () => {})
    socket.on('close', () => {
      clients.delete(socket)
      handlers.onClientsChange()
    })
    socket.on('data', (chunk) => {
      text = (text + chunk.toString('latin1')).slice(0, 64)
      if (text.startsWith(QUIT)) handlers.onQuit()
    })
    socket.write(`${JSON.stringify(greeting)}\n`)
  })
  rmSync(path, { force: true })
  const mask = process.umask(0o177)
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, resolve)
    })
  } finally {
    process.umask(mask)
  }
  return {
    get clients() {
      return clients.size
    },
    async [Symbol.asyncDispose]() {
      // Closing removes the path: from here on nobody finds us, and whoever looks starts another.
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of clients) socket.destroy()
      await closed
    },
  }
}
