import { existsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * What is said on the agent's socket: it greets with one line of JSON; a client may send one line `quit` (to an agent of
 * another build). As long as a client is connected the agent stays, whether or not there is anything to do for it.
 */
export interface Greeting {
  readonly pid: number
  readonly build: string
}

export const QUIT = 'quit\n'

/** Held by the agent while it lives; one per state root. */
export const AGENT_LOCK = 'agent'
/** Held by who starts one. */
export const AGENT_START_LOCK = 'agent-start'

/** The program an agent is: beside this file in the bundle, or in the sources when they run as they are. */
export function agentScript(): string {
  const here = import.meta.dirname
  const bundled = `${here}/main.cjs`
  return existsSync(bundled) ? bundled : `${dirname(here)}/cli/main.ts`
}

/** Tells builds apart: an agent of another one is replaced. */
export function agentBuild(): string {
  const here = import.meta.dirname
  const code = [`${here}/cli.cjs`, import.meta.filename].find((path) => existsSync(path))
  const stat = code === undefined ? undefined : statSync(code)
  return `${here} ${stat?.mtimeMs ?? 0} ${stat?.size ?? 0}`
}

/** One line of a socket, without its newline; undefined when it ends before. */
export function firstLine(text: string): string | undefined {
  const end = text.indexOf('\n')
  return end === -1 ? undefined : text.slice(0, end)
}
