import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, isAbsolute, join } from 'node:path'
import { createInterface } from 'node:readline'
import { TcomposeError } from '../base/errors.ts'
import type { Emit } from '../base/progress.ts'

export interface ProviderCall {
  readonly service: string
  readonly command: 'up' | 'down' | 'stop'
  readonly type: string
  readonly options: readonly (readonly [string, string])[]
}

export interface ProviderOptions {
  readonly project: string
  readonly emit: Emit
  readonly signal?: AbortSignal | undefined
  readonly env?: NodeJS.ProcessEnv
}

/** What a provider gives to the services that depend on it. */
export interface ProviderVariables {
  /** From `setenv`: known to dependents as `SERVICE_KEY`. */
  readonly prefixed: ReadonlyMap<string, string>
  /** From `rawsetenv`: the name is used as it is. */
  readonly raw: ReadonlyMap<string, string>
}

interface ProviderMetadata {
  readonly up?: ProviderCommandMetadata
  readonly down?: ProviderCommandMetadata
  readonly stop?: ProviderCommandMetadata
}
interface ProviderCommandMetadata {
  readonly parameters?: readonly { readonly name: string; readonly required?: boolean }[] | null
}

/**
 * Runs `TYPE compose --project-name P up|down|stop --OPTION=VALUE… SERVICE`, Compose's protocol for services that a
 * program provides: it answers with JSON lines `{type: info|error|debug|setenv|rawsetenv, message}` on stdout.
 * @throws TcomposeError NOT_FOUND when there is no such program, FAILED with its last error message
 */
export async function runProvider(call: ProviderCall, options: ProviderOptions): Promise<ProviderVariables> {
  const env = options.env ?? process.env
  const path = await findProvider(call.type, env)
  const metadata = await readMetadata(path, env)
  if (call.command === 'stop' && metadata?.stop === undefined) return { prefixed: new Map(), raw: new Map() }
  checkRequired(call, metadata)
  const known = metadata?.[call.command]?.parameters
  const given = call.options.filter(([name]) => !known || known.length === 0 || known.some((one) => one.name === name))
  const args = [
    'compose',
    `--project-name=${options.project}`,
    call.command,
    ...given.map(([name, value]) => `--${name}=${value}`),
    call.service,
  ]
  return run(path, args, call, { ...options, env })
}

function run(
  path: string,
  args: readonly string[],
  call: ProviderCall,
  options: ProviderOptions & { readonly env: NodeJS.ProcessEnv },
): Promise<ProviderVariables> {
  const prefixed = new Map<string, string>()
  const raw = new Map<string, string>()
  let failure: string | undefined
  return new Promise((resolve, reject) => {
    const child = spawn(path, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: options.env,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    })
    const stderr: Buffer[] = []
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
    createInterface({ input: child.stdout }).on('line', (line) => {
      const message = parseMessage(line)
      if (message === undefined) return
      const [key, value] = splitOnce(message.message)
      if (message.type === 'error') failure = message.message
      else if (message.type === 'setenv') prefixed.set(key, value)
      else if (message.type === 'rawsetenv') raw.set(key, value)
      else if (message.type === 'info') {
        options.emit({ id: call.service, status: 'working', text: message.message })
      }
    })
    child.on('error', (error) =>
      reject(
        new TcomposeError('FAILED', `provider ${call.type} of service ${call.service} cannot be run`, { cause: error }),
      ),
    )
    child.on('close', (code) => {
      if (code === 0 && failure === undefined) return resolve({ prefixed, raw })
      const why = failure ?? (Buffer.concat(stderr).toString().trim() || `exit code ${code}`)
      reject(new TcomposeError('FAILED', `provider ${call.type} of service ${call.service}: ${why}`))
    })
  })
}

function parseMessage(line: string): { readonly type: string; readonly message: string } | undefined {
  if (line.trim() === '') return undefined
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value !== 'object' || value === null || !('type' in value) || !('message' in value)) return undefined
    return { type: String(value.type), message: String(value.message) }
  } catch {
    return undefined
  }
}

function splitOnce(text: string): readonly [string, string] {
  const at = text.indexOf('=')
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

/** A path, a program on PATH, or a Docker CLI plugin `docker-TYPE`. */
async function findProvider(type: string, env: NodeJS.ProcessEnv): Promise<string> {
  const candidates = isAbsolute(type)
    ? [type]
    : [
        ...(env.PATH ?? '').split(delimiter).flatMap((folder) => (folder ? [join(folder, type)] : [])),
        ...[
          join(homedir(), '.docker/cli-plugins'),
          '/usr/local/lib/docker/cli-plugins',
          '/usr/lib/docker/cli-plugins',
        ].map((folder) => join(folder, `docker-${type}`)),
      ]
  for (const candidate of candidates) {
    try {
      await access(candidate, constants.X_OK)
      return candidate
    } catch {}
  }
  throw new TcomposeError('NOT_FOUND', `required by provider: ${type} is neither on PATH nor a CLI plugin`, {
    hint: `install the program ${type}, or a plugin docker-${type} in ~/.docker/cli-plugins`,
  })
}

/** `TYPE compose metadata`: optional; a provider without it takes every option. */
function readMetadata(path: string, env: NodeJS.ProcessEnv): Promise<ProviderMetadata | undefined> {
  return new Promise((resolve) => {
    const child = spawn(path, ['compose', 'metadata'], { stdio: ['ignore', 'pipe', 'ignore'], env })
    const out: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.on('error', () => resolve(undefined))
    child.on('close', (code) => {
      if (code !== 0) return resolve(undefined)
      try {
        resolve(JSON.parse(Buffer.concat(out).toString()) as ProviderMetadata)
      } catch {
        resolve(undefined)
      }
    })
  })
}

function checkRequired(call: ProviderCall, metadata: ProviderMetadata | undefined): void {
  for (const parameter of metadata?.[call.command]?.parameters ?? []) {
    if (parameter.required && !call.options.some(([name]) => name === parameter.name)) {
      throw new TcomposeError(
        'INVALID',
        `required parameter ${JSON.stringify(parameter.name)} is missing from provider ${JSON.stringify(call.type)} definition`,
      )
    }
  }
}
