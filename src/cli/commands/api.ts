import type { Command } from 'commander'
import type { Session } from '../session.ts'
import { VERSION } from '../version.ts'

/** `tcompose api`: the Docker Engine API on a Unix socket, until interrupted. `tcompose api socket` prints its address. */
export function configure(command: Command, session: Session): void {
  command
    .usage('[OPTIONS] [socket]')
    .argument('[what]', '`socket` prints the address for DOCKER_HOST and ends')
    .option('-H, --host <address>', 'Listen there instead: unix:///path')
    .action(async (what: string | undefined, options: { host?: string }) => {
      const { TcomposeError } = await import('../../base/errors.ts')
      if (what !== undefined && what !== 'socket') {
        throw new TcomposeError('INVALID', `unknown argument ${what}`, { hint: 'tcompose api [socket]' })
      }
      if (options.host !== undefined && !/^(unix:\/\/)?\//.test(options.host)) {
        throw new TcomposeError('UNSUPPORTED', `listening on ${options.host} is not supported`, {
          hint: 'give the path of a Unix socket: unix:///run/tcompose/docker.sock',
        })
      }
      const engine = await session.engine()
      const path = options.host?.replace(/^unix:\/\//, '') ?? engine.paths.apiSocket
      if (what === 'socket') return session.write(`unix://${path}\n`)
      const [{ listenApi }, { ensureAgent }] = await Promise.all([
        import('../../api/server.ts'),
        import('../../agent/ensure.ts'),
      ])
      // Whatever a client starts has names, health and restarts at once.
      using _agent = await ensureAgent(engine.paths, session.env)
      await using _server = await listenApi(engine, { path, version: VERSION, env: session.env })
      process.stderr.write(`API on unix://${path}\n`)
      await new Promise<void>((resolve) => session.signal.addEventListener('abort', () => resolve(), { once: true }))
    })
}
