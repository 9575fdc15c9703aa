import { createInterface } from 'node:readline'
import { text as textOf } from 'node:stream/consumers'
import type { Command } from 'commander'
import { TcomposeError } from '../../base/errors.ts'
import type { Session } from '../session.ts'

interface Options {
  readonly username?: string
  readonly password?: string
  readonly passwordStdin?: boolean
}

export function configure(command: Command, session: Session): void {
  command
    .argument('[server]', 'Registry host; Docker Hub when absent')
    .option('-u, --username <name>', 'User name')
    .option('-p, --password <password>', 'Password or token (better: --password-stdin)')
    .option('--password-stdin', 'Read the password from stdin')
    .action((server: string | undefined, options: Options) => login(session, server, options))
}

async function login(session: Session, server: string | undefined, options: Options): Promise<void> {
  if (options.password !== undefined && options.passwordStdin) {
    throw new TcomposeError('INVALID', '--password and --password-stdin are mutually exclusive')
  }
  if (options.passwordStdin && options.username === undefined) {
    throw new TcomposeError('INVALID', 'must provide --username with --password-stdin')
  }
  if (options.password !== undefined) {
    session.warn('a password given by --password is seen by others on this machine; use --password-stdin')
  }
  const username = options.username ?? (await ask('Username: ', false, session.signal))
  const password = options.passwordStdin
    ? (await textOf(process.stdin)).replace(/\r?\n$/, '')
    : (options.password ?? (await ask('Password: ', true, session.signal)))
  if (username === '' || password === '') throw new TcomposeError('INVALID', 'username and password are required')
  const registry = await import('../../engine/registry/login.ts')
  const { storedIn } = await registry.login({ env: session.env, server, username, password, signal: session.signal })
  session.write(`Login Succeeded\n`)
  if (!options.passwordStdin) process.stderr.write(`the credentials are kept in ${storedIn}\n`)
}

/** One line from the terminal; `hidden` is not shown while it is typed. */
function ask(question: string, hidden: boolean, signal: AbortSignal): Promise<string> {
  if (!process.stdin.isTTY) {
    throw new TcomposeError('INVALID', 'cannot ask for credentials: stdin is no terminal', {
      hint: 'give --username and --password-stdin',
    })
  }
  process.stderr.write(question)
  return new Promise((resolve, reject) => {
    // Without an output nothing that is typed is echoed.
    const lines = createInterface({
      input: process.stdin,
      terminal: true,
      ...(hidden ? {} : { output: process.stderr }),
    })
    const stop = () => {
      lines.close()
      reject(new TcomposeError('CANCELED', 'interrupted'))
    }
    signal.addEventListener('abort', stop, { once: true })
    lines.once('line', (line) => {
      signal.removeEventListener('abort', stop)
      lines.close()
      if (hidden) process.stderr.write('\n')
      resolve(line.trim())
    })
    lines.once('SIGINT', stop)
  })
}
